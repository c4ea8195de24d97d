// The page: pictures and tracks of a live run, and its controls.

import { Camera } from "./camera.js";
import { Plot, showFigures } from "./figures.js";
import {
  LAYER_KEYS,
  showButtons,
  showFiles,
  showHello,
  showHolder,
  showLayers,
  showMessage,
  showPhase,
  showSliders,
  thresholdAt,
} from "./panel.js";
import { chooseCodec } from "./pictures.js";
import { Pointer } from "./pointer.js";
import { Screen } from "./screen.js";
import { Socket } from "./socket.js";
import { clock, element, history, mayControl, page, paints } from "./state.js";
import { parseTracks } from "./tracks.js";

const PING_EVERY_MS = 1000;
const SHOW_EVERY_MS = 500;
// The server says so when its run ends (RFC 6455).
const GOING_AWAY = 1001;
// What the server knows of the window's keys; it ends runs at the place where they were started only.
const KEYS = new Set(" .svmcMbNner");

const screen = new Screen();
const plot = new Plot(element("plot"));
let tracksSocket = null;

// For whoever looks at the page from outside.
window.realtimeKp = { page, clock, paints, history, screen };

// --- the server ---------------------------------------------------------------------------------------

const take = {
  hello(message) {
    const first = page.settings === null;
    page.settings = message;
    showHello(message);
    if (first) start(message);
  },
  status(message) {
    page.status = message;
    showPhase();
    showButtons();
    showLayers();
    showSliders();
    screen.redraw();
  },
  control(message) {
    page.holder = message.holder;
    page.readOnly = message.read_only;
    page.viewers = message.viewers;
    showHolder();
  },
  files(message) {
    showFiles(message.files);
  },
  pong(message) {
    clock.take(message.sent, message.server_s);
  },
  error(message) {
    showMessage(message.reason);
  },
};

const control = new Socket("control", {
  onOpen() {
    page.online = true;
    page.ended = false;
    ping();
    showPhase();
  },
  onLost(code) {
    page.online = false;
    page.ended ||= code === GOING_AWAY; // further tries find nobody, which is no news
    page.holder = "nobody";
    // Another server has another clock.
    clock.reset();
    showPhase();
    showHolder();
  },
  onMessage(text) {
    const message = JSON.parse(text);
    take[message.type]?.(message);
  },
});

async function start(settings) {
  page.layers = new Set(settings.layers);
  page.trailLength = settings.trail_length;
  page.drawn ||= settings.undistort;
  element("trail").value = settings.trail_length;
  page.codec = await chooseCodec();
  showLayers();
  showSliders();
  screen.open();
  openTracks();
}

function openTracks() {
  tracksSocket?.close();
  const keypoints = page.layers.has("keypoints") ? 1 : 0;
  const socket = new Socket(`tracks?format=binary&keypoints=${keypoints}&acks=1`, {
    onMessage(data) {
      const tracks = parseTracks(data);
      history.take(tracks);
      socket.sendMessage({ ack: tracks.frame });
    },
    onOpen: () => history.clear(),
  });
  tracksSocket = socket;
}

function ping() {
  control.sendMessage({ type: "ping", sent: performance.now() });
}

// --- what the user does -------------------------------------------------------------------------------

function press(key) {
  if (key in LAYER_KEYS) toggleLayer(key);
  else if (key === "h") element("keys").open = !element("keys").open;
  else if (KEYS.has(key) && mayControl()) control.sendMessage({ type: "key", key });
}

/** Layers are this page's own, unless the server draws them. */
function toggleLayer(key) {
  const layer = LAYER_KEYS[key];
  if (page.drawn) {
    if (mayControl()) control.sendMessage({ type: "key", key });
  } else {
    if (!page.layers.delete(layer)) page.layers.add(layer);
    if (layer === "keypoints") openTracks();
  }
  showLayers();
  screen.redraw();
}

new Pointer(element("stage"), element("hover"), {
  toSource: (x, y) => screen.toSource(x, y),
  // The tracks' places are those of the plain picture.
  tracks: () => (page.drawn ? undefined : screen.tracks),
  mayControl,
  onClick([x, y], right) {
    const [button, frame] = [right ? "right" : "left", screen.shown?.frame];
    control.sendMessage({ type: "click", x, y, button, frame, drawn: page.drawn });
  },
  onDrag([x0, y0, x1, y1]) {
    control.sendMessage({ type: "drag", x0, y0, x1, y1, drawn: page.drawn });
  },
  onChange(drag) {
    screen.drag = drag;
    screen.redraw();
  },
});

for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => {
    press(button.dataset.key);
    // The keys that follow are for the picture again.
    element("stage").focus({ preventScroll: true });
  });
}
for (const [key, layer] of Object.entries(LAYER_KEYS)) {
  element(`layer-${layer}`).addEventListener("change", () => toggleLayer(key));
}
element("drawn").addEventListener("change", (event) => {
  page.drawn = event.target.checked;
  showLayers();
  screen.open();
});
element("threshold").addEventListener("input", (event) => {
  control.sendMessage({ type: "set", threshold: Math.min(1, thresholdAt(Number(event.target.value))) });
});
element("keypoints").addEventListener("input", (event) => {
  control.sendMessage({ type: "set", max_keypoints: Number(event.target.value) });
});
element("trail").addEventListener("input", (event) => {
  page.trailLength = Number(event.target.value);
  showSliders();
  screen.redraw();
});
for (const name of ["threshold", "keypoints", "trail"]) {
  element(name).addEventListener("change", (event) => event.target.blur());
}
element("take").addEventListener("click", () => control.sendMessage({ type: "take" }));
element("release").addEventListener("click", () => control.sendMessage({ type: "release" }));
element("save").addEventListener("click", () => screen.save());
element("camera").addEventListener("click", toggleCamera);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.key.length !== 1) return;
  // A button that has the focus answers to the space bar itself.
  if (event.key === " " && event.target.closest?.("button, input, summary, a")) return;
  if (event.key === " ") event.preventDefault();
  press(event.key);
});
window.addEventListener("resize", () => screen.redraw());

function toggleCamera() {
  if (page.camera !== null) return page.camera.stop();
  showMessage("");
  page.camera = new Camera(clock, (reason) => {
    page.camera = null;
    showMessage(reason);
    showButtons();
  });
  page.camera.start();
  showButtons();
}

// --- what is told from time to time -------------------------------------------------------------------

setInterval(ping, PING_EVERY_MS);
setInterval(() => {
  if (page.status === null) return;
  showFigures(element("figures"), page.status, paints);
  const { fps, latency_p95_ms } = page.status.figures;
  plot.take({ fps, latency_p95_ms, paint_ms: paints.percentile(0.95) });
}, SHOW_EVERY_MS);
