// Drawing of tracks over the picture, at the resolution of the screen.

// Shares of a trail, the oldest first, and how much of their colour is seen; as in the window.
const FADING = [
  [0.4, 0.3],
  [0.3, 0.55],
  [0.3, 1.0],
];
const PLAIN = [[1.0, 1.0]];

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
  context.lineJoin = context.lineCap = "round";
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
  context.lineWidth = unit;
  const scores = tracks.keypoint_score;
  for (let i = 0; i < scores.length; i++) {
    // From blue (weak) over green to red (strong), on a logarithmic scale.
    const level = Math.min(1, Math.max(0, Math.log(Math.max(scores[i], 0.003) / 0.003) / Math.log(1 / 0.003)));
    context.strokeStyle = `hsl(${240 - 240 * level} 90% 55%)`;
    context.beginPath();
    const [x, y] = [tracks.keypoint_xy[2 * i], tracks.keypoint_xy[2 * i + 1]];
    context.arc(mapping.x(x), mapping.y(y), 2.5 * unit, 0, 2 * Math.PI);
    context.stroke();
  }
}

function drawTracks(context, mapping, scene, unit) {
  const { tracks } = scene;
  if (scene.trails !== "none" && scene.trailLength > 1) drawTrails(context, mapping, scene, unit);
  for (let i = 0; i < tracks.ids.length; i++) {
    const own = tracks.labels[tracks.ids[i]];
    const [x, y] = [mapping.x(tracks.xy[2 * i]), mapping.y(tracks.xy[2 * i + 1])];
    context.fillStyle = colour(tracks, i);
    context.globalAlpha = tracks.seen[i] ? 1 : 0.45;
    dot(context, x, y, (own !== undefined ? 4 : tracks.clear[i] ? 2 : 1) * unit);
    context.globalAlpha = 1;
    if (own !== undefined) label(context, x, y, own, unit);
  }
  if (tracks.reference) drawReference(context, mapping, tracks.reference, unit);
}

function drawTrails(context, mapping, scene, unit) {
  const { tracks, history, trailLength } = scene;
  // One path for each colour and share: strokes are what costs.
  const paths = new Map();
  const shares = scene.trails === "fade" ? FADING : PLAIN;
  for (let i = 0; i < tracks.ids.length; i++) {
    if (!tracks.clear[i]) continue;
    const trail = history.trail(tracks.ids[i], tracks.frame, trailLength);
    let share = 0;
    for (const [part, strength] of shares) {
      const [from, to] = [share, share + part].map((end) => tracks.frame - trailLength + end * trailLength);
      share += part;
      let path;
      for (let k = 1; k < trail.length; k++) {
        if (trail[k].frame <= from || trail[k].frame > to + 0.5) continue;
        // A gap means that the track was lost there.
        if (trail[k].frame - trail[k - 1].frame > scene.longestGap) continue;
        const key = `${strength} ${colour(tracks, i)}`;
        if (path === undefined && (path = paths.get(key)) === undefined) paths.set(key, (path = new Path2D()));
        path.moveTo(mapping.x(trail[k - 1].x), mapping.y(trail[k - 1].y));
        path.lineTo(mapping.x(trail[k].x), mapping.y(trail[k].y));
      }
    }
  }
  context.lineWidth = 1.2 * unit;
  for (const [key, path] of paths) {
    const space = key.indexOf(" ");
    context.globalAlpha = Number(key.slice(0, space));
    context.strokeStyle = key.slice(space + 1);
    context.stroke(path);
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

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function colour(tracks, i) {
  return `rgb(${tracks.rgb[3 * i]} ${tracks.rgb[3 * i + 1]} ${tracks.rgb[3 * i + 2]})`;
}
