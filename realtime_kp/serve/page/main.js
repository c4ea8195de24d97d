// The page: pictures and tracks of a live run, and its controls.

import { Camera } from "./camera.js";
import { ServerClock } from "./clock.js";
import { Paints, Plot, hudText, showFigures } from "./figures.js";
import { Mapping, drawOverlay } from "./overlay.js";
import { PictureStream, chooseCodec } from "./pictures.js";
import { Pointer } from "./pointer.js";
import { Socket } from "./socket.js";
import { TrackHistory, parseTracks } from "./tracks.js";

const PING_EVERY_MS = 1000;
const SHOW_EVERY_MS = 500;
const LAYERS = ["keypoints", "tracks", "hud"];
const LOCAL_KEYS = { k: "keypoints", t: "tracks", i: "hud" };
const MARK_BITS = 16;
const MARK_PX = 16;

const element = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

const page = {
  settings: null,
  status: null,
  holder: "nobody",
  readOnly: false,
  online: false,
  layers: new Set(),
  trailLength: 20,
  drawn: false,
  marked: query.get("marked") === "1",
  codec: "jpeg",
  shown: null, // frame, size and time of the picture on the canvas
  waiting: null, // a picture that comes with the next paint
  paintedAtMs: [],
  marks: [],
};
const clock = new ServerClock();
const paints = new Paints();
const history = new TrackHistory();
const plot = new Plot(element("plot"));
// For whoever looks at the page from outside.
window.realtimeKp = { page, clock, paints, history };

// --- pictures -----------------------------------------------------------------------------------------

let stream = null;

function openStream() {
  stream?.close();
  const variant = page.marked ? "marked" : page.drawn ? "drawn" : "plain";
  stream = new PictureStream(page.codec, variant, takePicture, (reason) => {
    console.warn(`${page.codec}: ${reason}`);
    page.codec = "jpeg";
    openStream();
  });
  element("codec").textContent = page.codec === "h264" ? "H.264" : "JPEG";
}

function takePicture(picture) {
  picture.decodedMs = performance.now();
  const scheduled = page.waiting !== null;
  page.waiting?.image.close();
  page.waiting = picture;
  if (!scheduled) requestAnimationFrame(paint);
}

const afterPaint = new MessageChannel();
afterPaint.port1.onmessage = ({ data: { capturedS, arrivedMs, decodedMs, paintMs } }) => {
  const nowMs = performance.now();
  (window.T ??= []).push([(clock.serverS(arrivedMs) - capturedS) * 1e3, decodedMs-arrivedMs, paintMs-decodedMs, nowMs-paintMs]);
  if (clock.known) paints.take((clock.serverS(nowMs) - capturedS) * 1e3);
  page.paintedAtMs.push(nowMs);
  while (page.paintedAtMs[0] < nowMs - 2000) page.paintedAtMs.shift();
};

function paint() {
  const picture = page.waiting;
  const t0 = performance.now();
  page.waiting = null;
  if (picture === null) return;
  const canvas = element("picture");
  const { image } = picture;
  const [width, height] = [image.displayWidth ?? image.width, image.displayHeight ?? image.height];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    element("stage").style.setProperty("--aspect", width / height);
  }
  const context = canvas.getContext("2d", { willReadFrequently: page.marked });
  const flip = page.settings?.mirror && !page.drawn;
  if (flip) context.setTransform(-1, 0, 0, 1, width, 0);
  context.drawImage(image, 0, 0, width, height);
  if (flip) context.setTransform(1, 0, 0, 1, 0, 0);
  image.close();
  page.shown = { frame: picture.frame, size: [picture.width, picture.height] };
  if (page.marked) readMark(context, picture.frame);
  redraw();
  afterPaint.port2.postMessage({ capturedS: picture.capturedS, arrivedMs: picture.arrivedMs, decodedMs: picture.decodedMs, paintMs: t0 });
}

/** The number in the picture itself, read back from the canvas. */
function readMark(context, expected) {
  const { data } = context.getImageData(0, MARK_PX / 2, MARK_BITS * MARK_PX, 1);
  let number = 0;
  for (let bit = 0; bit < MARK_BITS; bit++) if (data[4 * (bit * MARK_PX + MARK_PX / 2)] > 127) number |= 1 << bit;
  page.marks.push({ read: number, expected: expected & 0xffff });
  if (page.marks.length > 1000) page.marks.shift();
}

// --- tracks -------------------------------------------------------------------------------------------

let tracksSocket = null;

function openTracks() {
  tracksSocket?.close();
  const keypoints = page.layers.has("keypoints") ? 1 : 0;
  tracksSocket = new Socket(`tracks?format=binary&keypoints=${keypoints}&acks=1`, {
    onMessage: (data) => {
      const tracks = parseTracks(data);
      history.take(tracks);
      tracksSocket.sendMessage({ ack: tracks.frame });
    },
    onOpen: () => history.clear(),
  });
}

// --- drawing ------------------------------------------------------------------------------------------

function fitOverlay() {
  const canvas = element("overlay");
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return canvas;
}

function mapping() {
  return new Mapping(fitOverlay(), page.shown?.size ?? [640, 480], Boolean(page.settings?.mirror) && !page.drawn);
}

function redraw() {
  if (page.shown === null) return;
  const steps = history.frames.slice(-10).map((tracks) => tracks.frame);
  const gap = Math.max(2, ...steps.slice(1).map((frame, i) => frame - steps[i]));
  drawOverlay(fitOverlay(), mapping(), {
    tracks: page.drawn ? undefined : history.at(page.shown.frame),
    history,
    layers: page.drawn ? new Set() : page.layers,
    trails: page.settings?.trails ?? "fade",
    trailLength: page.trailLength,
    longestGap: gap,
    regions: page.drawn || page.status?.everywhere ? [] : page.status?.regions ?? [],
    drag: pointer.drag,
    hud: page.status && hudText(page.status),
  });
}

// --- control ------------------------------------------------------------------------------------------

const control = new Socket("control", {
  onOpen: () => {
    page.online = true;
    ping();
    showPhase();
  },
  onLost: () => {
    page.online = false;
    page.holder = "nobody";
    showPhase();
    showHolder();
  },
  onMessage: (text) => {
    const message = JSON.parse(text);
    take[message.type]?.(message);
  },
});

const take = {
  hello(message) {
    const first = page.settings === null;
    page.settings = message;
    element("source").textContent = message.source;
    document.title = `${message.source} – realtime-kp`;
    element("camera-buttons").hidden = !message.camera;
    element("help").replaceChildren(...message.help.map((line) => item(line)), item("hover: id, age and σ of a track"));
    const slider = element("keypoints");
    slider.max = message.max_keypoints;
    if (first) start(message);
  },
  status(message) {
    page.status = message;
    showPhase();
    showButtons();
    showSliders(message);
    redraw();
  },
  control(message) {
    page.holder = message.holder;
    page.readOnly = message.read_only;
    page.viewers = message.viewers;
    showHolder();
  },
  files({ files }) {
    element("files").hidden = files.length === 0;
    element("files").querySelector("ul").replaceChildren(...files.map(({ name, url }) => item(name, url)));
  },
  pong(message) {
    clock.take(message.sent, message.server_s);
  },
  error(message) {
    console.warn(message.reason);
  },
};

function item(text, url) {
  const entry = document.createElement("li");
  const holder = url === undefined ? entry : entry.appendChild(document.createElement("a"));
  holder.textContent = text;
  if (url !== undefined) {
    holder.href = url;
    holder.download = text;
  }
  return entry;
}

async function start(settings) {
  page.layers = new Set(settings.layers);
  page.trailLength = settings.trail_length;
  page.drawn = settings.undistort || query.get("drawn") === "1";
  element("trail").value = settings.trail_length;
  page.codec = await chooseCodec();
  showLayers();
  showTrail();
  openStream();
  openTracks();
}

function ping() {
  control.sendMessage({ type: "ping", sent: performance.now() });
}

const mayControl = () => page.online && page.holder === "you";

function pressKey(key) {
  const layer = LOCAL_KEYS[key];
  if (layer !== undefined) return toggleLayer(layer);
  if (mayControl()) control.sendMessage({ type: "key", key });
}

/** Layers are this page's own, unless the server draws them. */
function toggleLayer(layer) {
  if (page.drawn) {
    if (mayControl()) control.sendMessage({ type: "key", key: Object.keys(LOCAL_KEYS).find((k) => LOCAL_KEYS[k] === layer) });
    return;
  }
  if (!page.layers.delete(layer)) page.layers.add(layer);
  if (layer === "keypoints") openTracks();
  showLayers();
  redraw();
}

const pointer = new Pointer(
  element("stage"),
  {
    toSource(x, y) {
      const ratio = window.devicePixelRatio || 1;
      return mapping().source(x * ratio, y * ratio);
    },
    tracks: () => (page.shown === null || page.drawn ? undefined : history.at(page.shown.frame)),
    mayControl,
    onClick([x, y], right) {
      const frame = page.shown?.frame;
      control.sendMessage({ type: "click", x, y, button: right ? "right" : "left", frame, drawn: page.drawn });
    },
    onDrag([x0, y0, x1, y1]) {
      control.sendMessage({ type: "drag", x0, y0, x1, y1, drawn: page.drawn });
    },
    onChange: redraw,
  },
  element("hover"),
);

// --- what is shown beside the picture ---------------------------------------------------------------------

function showPhase() {
  const { status } = page;
  const phase = !page.online ? "offline" : status?.paused ? "paused" : status?.phase ?? "loading";
  const pill = element("phase");
  pill.textContent = phase === "offline" ? "no connection, trying again" : phase;
  pill.className = `pill ${phase}`;
  const reason = page.online ? status?.reason ?? "" : "no connection to the server, trying again";
  element("banner").textContent = reason;
  element("banner").hidden = reason === "";
}

function showHolder() {
  const { holder, readOnly, viewers = 0 } = page;
  const who = { you: "you hold the controls", other: "another viewer holds the controls", nobody: "nobody holds the controls" };
  const here = viewers === 1 ? "1 viewer" : `${viewers} viewers`;
  element("holder").textContent = page.online ? `${here}, ${readOnly ? "read only" : who[holder]}` : "";
  element("take").hidden = !page.online || readOnly || holder === "you";
  element("release").hidden = holder !== "you" || viewers < 2;
  element("stage").classList.toggle("controlled", holder === "you");
  showButtons();
}

function showButtons() {
  const allowed = mayControl();
  for (const button of document.querySelectorAll("[data-key]")) {
    const needsPause = button.dataset.key === ".";
    button.disabled = !allowed || (needsPause && !page.status?.paused);
  }
  for (const input of document.querySelectorAll("[data-control]")) input.disabled = !allowed;
  element("camera").disabled = !allowed;
  document.querySelector('[data-key=" "]').textContent = page.status?.paused ? "Go on" : "Pause";
  const record = document.querySelector('[data-key="v"]');
  record.textContent = page.status?.recording ? "Stop recording" : "Record";
  record.classList.toggle("on", Boolean(page.status?.recording));
  document.querySelector('[data-key="m"]').classList.toggle("on", Boolean(page.status?.everywhere));
}

function showLayers() {
  const layers = page.drawn ? new Set(page.status?.layers ?? []) : page.layers;
  for (const layer of LAYERS) element(`layer-${layer}`).checked = layers.has(layer);
  element("drawn").checked = page.drawn;
}

// The threshold's slider is logarithmic: its range spans three decades.
const toThreshold = (place) => {
  const [least, most] = page.settings.threshold_range;
  return least * (most / least) ** (place / 1000);
};
const fromThreshold = (threshold) => {
  const [least, most] = page.settings.threshold_range;
  return (1000 * Math.log(threshold / least)) / Math.log(most / least);
};

function showSliders({ threshold, max_keypoints: keypoints }) {
  if (page.settings === null) return;
  if (document.activeElement !== element("threshold")) element("threshold").value = fromThreshold(threshold);
  if (document.activeElement !== element("keypoints")) element("keypoints").value = keypoints;
  element("threshold-value").textContent = threshold.toFixed(4);
  element("keypoints-value").textContent = keypoints;
  showLayers();
}

function showTrail() {
  element("trail-value").textContent = page.trailLength;
}

setInterval(ping, PING_EVERY_MS);
setInterval(() => {
  if (page.status === null) return;
  const nowMs = performance.now();
  const painted = page.paintedAtMs.filter((at) => at > nowMs - 2000).length / 2;
  showFigures(element("figures"), page.status, paints, painted);
  const { fps, latency_p95_ms } = page.status.figures;
  plot.take({ fps, latency_p95_ms, paint_ms: paints.percentile(0.95) });
}, SHOW_EVERY_MS);

// --- events ---------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => pressKey(button.dataset.key));
}
for (const layer of LAYERS) element(`layer-${layer}`).addEventListener("change", () => toggleLayer(layer));
element("drawn").addEventListener("change", (event) => {
  page.drawn = event.target.checked;
  showLayers();
  openStream();
});
element("threshold").addEventListener("input", (event) => {
  const threshold = toThreshold(Number(event.target.value));
  control.sendMessage({ type: "set", threshold: Math.min(1, threshold) });
});
element("keypoints").addEventListener("input", (event) => {
  control.sendMessage({ type: "set", max_keypoints: Number(event.target.value) });
});
element("trail").addEventListener("input", (event) => {
  page.trailLength = Number(event.target.value);
  showTrail();
  redraw();
});
element("take").addEventListener("click", () => control.sendMessage({ type: "take" }));
element("release").addEventListener("click", () => control.sendMessage({ type: "release" }));
element("save").addEventListener("click", () => {
  const [picture, overlay] = [element("picture"), element("overlay")];
  const both = document.createElement("canvas");
  both.width = Math.max(picture.width, overlay.width);
  both.height = Math.max(picture.height, overlay.height);
  const context = both.getContext("2d");
  for (const layer of [picture, overlay]) context.drawImage(layer, 0, 0, both.width, both.height);
  const link = document.createElement("a");
  link.download = `realtime-kp_f${page.shown?.frame ?? 0}.png`;
  link.href = both.toDataURL("image/png");
  link.click();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // A focused button or box answers to the space bar itself.
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLButtonElement) {
    if (event.key === " " || event.target.type === "range") return;
  }
  if (event.key === " ") event.preventDefault();
  if (event.key.length === 1) pressKey(event.key);
});
window.addEventListener("resize", redraw);

let camera = null;
element("camera").addEventListener("click", async () => {
  if (camera !== null) return camera.stop();
  camera = new Camera(clock, (reason) => {
    camera = null;
    element("camera").textContent = "Use this device's camera";
    if (reason) console.warn(reason);
  });
  try {
    await camera.start();
    element("camera").textContent = "Stop the camera";
  } catch (error) {
    camera = null;
    element("banner").textContent = `the camera cannot be used: ${error.message}`;
    element("banner").hidden = false;
  }
});
