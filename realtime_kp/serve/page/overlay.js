// Drawing of tracks over the picture, at the resolution of the screen.

// Up to which part of a trail, from its oldest end, how much of its colour is seen; as in the window.
const FADING = [
  [0.4, 0.3],
  [0.7, 0.55],
  [1.0, 1.0],
];
const PLAIN = [[1.0, 1.0]];
const LEAST_SCORE = 0.003;
const SCORE_COLOURS = 12;

/** From pixels of the source to pixels of the canvas, and back; pixel centres are whole numbers. */
export class Mapping {
  constructor(canvas, size, mirror) {
    this.scaleX = canvas.width / size[0];
    this.scaleY = canvas.height / size[1];
    this.size = size;
    this.mirror = mirror;
  }

  x(x) {
    const there = (x + 0.5) * this.scaleX;
    return this.mirror ? this.size[0] * this.scaleX - there : there;
  }

  y(y) {
    return (y + 0.5) * this.scaleY;
  }

  source(x, y) {
    const there = this.mirror ? this.size[0] * this.scaleX - x : x;
    return [there / this.scaleX - 0.5, y / this.scaleY - 0.5];
  }
}

export function drawOverlay(canvas, mapping, scene) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const unit = Math.max(1, Math.min(canvas.width, canvas.height) / 480);
  context.lineJoin = "bevel";
  const { tracks, layers } = scene;
  if (tracks !== undefined) {
    if (layers.has("keypoints") && tracks.keypoint_xy) drawKeypoints(context, mapping, tracks, unit);
    if (layers.has("tracks")) drawTracks(context, mapping, scene, unit);
  }
  for (const [left, top, width, height] of scene.regions) {
    outline(context, mapping, [left, top, left + width - 1, top + height - 1], unit);
  }
  if (scene.drag) outline(context, mapping, scene.drag, unit);
  if (layers.has("hud")) drawHud(context, scene.hud, unit);
}

function drawKeypoints(context, mapping, tracks, unit) {
  // A path for each colour: strokes are what costs.
  const paths = new Map();
  const radius = 2.5 * unit;
  for (let i = 0; i < tracks.keypoint_score.length; i++) {
    // From blue (weak) over green to red (strong), on a logarithmic scale.
    const level = Math.log(Math.max(tracks.keypoint_score[i], LEAST_SCORE) / LEAST_SCORE) / Math.log(1 / LEAST_SCORE);
    const path = pathOf(paths, Math.round(SCORE_COLOURS * Math.min(1, level)));
    const [x, y] = [mapping.x(tracks.keypoint_xy[2 * i]), mapping.y(tracks.keypoint_xy[2 * i + 1])];
    path.moveTo(x + radius, y);
    path.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.lineWidth = unit;
  for (const [level, path] of paths) {
    context.strokeStyle = `hsl(${240 - (240 * level) / SCORE_COLOURS} 90% 55%)`;
    context.stroke(path);
  }
}

function drawTracks(context, mapping, scene, unit) {
  const { tracks } = scene;
  if (scene.trails !== "none" && scene.trailLength > 1) drawTrails(context, mapping, scene, unit);
  drawDots(context, mapping, tracks, unit);
  for (let i = 0; i < tracks.ids.length; i++) {
    const own = tracks.labels[tracks.ids[i]];
    if (own !== undefined) label(context, mapping.x(tracks.xy[2 * i]), mapping.y(tracks.xy[2 * i + 1]), own, unit);
  }
  if (tracks.reference) drawReference(context, mapping, tracks.reference, unit);
}

function drawDots(context, mapping, tracks, unit) {
  const paths = new Map();
  for (let i = 0; i < tracks.ids.length; i++) {
    const path = pathOf(paths, `${tracks.seen[i] ? 1 : 0.45} ${colour(tracks, i)}`);
    const [x, y] = [mapping.x(tracks.xy[2 * i]), mapping.y(tracks.xy[2 * i + 1])];
    const own = tracks.labels[tracks.ids[i]] !== undefined;
    const radius = (own ? 4 : tracks.clear[i] ? 2 : 1) * unit;
    if (radius < 2) path.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    else {
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 2 * Math.PI);
    }
  }
  withStyles(context, paths, (path) => context.fill(path));
}

function drawTrails(context, mapping, scene, unit) {
  const { tracks, history, trailLength } = scene;
  const { longestGap } = history;
  const paths = new Map();
  const first = tracks.frame - trailLength;
  const shares = scene.trails === "fade" ? FADING : PLAIN;
  for (let i = 0; i < tracks.ids.length; i++) {
    const trail = tracks.clear[i] ? history.trail(tracks.ids[i]) : [];
    const style = colour(tracks, i);
    let [path, strength] = [null, 0];
    for (let k = trail.length - 1; k > 0 && trail[k - 1].frame >= first; k--) {
      const [from, to] = [trail[k - 1], trail[k]];
      // A gap means that the track was lost there.
      if (to.frame > tracks.frame || to.frame - from.frame > longestGap) {
        path = null;
        continue;
      }
      const age = (to.frame - first) / trailLength;
      const wanted = shares.find(([end]) => age <= end)[1];
      // One line as long as it looks the same.
      if (path === null || wanted !== strength) {
        strength = wanted;
        path = pathOf(paths, `${strength} ${style}`);
        path.moveTo(mapping.x(to.x), mapping.y(to.y));
      }
      path.lineTo(mapping.x(from.x), mapping.y(from.y));
    }
  }
  context.lineWidth = 1.2 * unit;
  withStyles(context, paths, (path) => context.stroke(path));
}

/** The path of a key, a new one where there is none. */
function pathOf(paths, key) {
  let path = paths.get(key);
  if (path === undefined) paths.set(key, (path = new Path2D()));
  return path;
}

/** Draw paths whose keys are an opacity and a colour. */
function withStyles(context, paths, draw) {
  for (const [key, path] of paths) {
    const space = key.indexOf(" ");
    context.globalAlpha = Number(key.slice(0, space));
    context.strokeStyle = context.fillStyle = key.slice(space + 1);
    draw(path);
  }
  context.globalAlpha = 1;
}

function drawReference(context, mapping, corners, unit) {
  for (const [style, width] of [["#000", 4], ["#ffdc50", 2]]) {
    context.strokeStyle = style;
    context.lineWidth = width * unit;
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(mapping.x(x), mapping.y(y));
    context.closePath();
    context.stroke();
  }
}

function outline(context, mapping, [x0, y0, x1, y1], unit) {
  const [a, b] = [mapping.x(x0), mapping.x(x1)].sort((p, q) => p - q);
  const [c, d] = [mapping.y(y0), mapping.y(y1)].sort((p, q) => p - q);
  for (const [style, width] of [["#000", 3], ["#fff", 1]]) {
    context.strokeStyle = style;
    context.lineWidth = width * unit;
    context.strokeRect(a, c, b - a, d - c);
  }
}

function drawHud(context, text, unit) {
  if (!text) return;
  context.font = `${13 * unit}px system-ui, sans-serif`;
  const width = context.measureText(text).width;
  context.fillStyle = "rgb(0 0 0 / 60%)";
  context.fillRect(0, 0, width + 16 * unit, 22 * unit);
  context.fillStyle = "#ebebeb";
  context.fillText(text, 8 * unit, 15.5 * unit);
}

function label(context, x, y, text, unit) {
  context.strokeStyle = "#fff";
  context.lineWidth = unit;
  context.beginPath();
  context.arc(x, y, 5 * unit, 0, 2 * Math.PI);
  context.stroke();
  context.font = `${13 * unit}px system-ui, sans-serif`;
  context.strokeStyle = "#000";
  context.lineWidth = 3 * unit;
  context.strokeText(text, x + 8 * unit, y - 8 * unit);
  context.fillStyle = "#fff";
  context.fillText(text, x + 8 * unit, y - 8 * unit);
}

function colour(tracks, i) {
  return `rgb(${tracks.rgb[3 * i]} ${tracks.rgb[3 * i + 1]} ${tracks.rgb[3 * i + 2]})`;
}
