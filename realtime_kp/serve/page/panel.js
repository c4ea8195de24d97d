// What is shown beside the picture: state, controls, sliders, files.

import { element, mayControl, page, shownLayers } from "./state.js";

const MESSAGE_MS = 8000;

export const LAYER_KEYS = { k: "keypoints", t: "tracks", i: "hud" };

const HOLDERS = {
  you: "you hold the controls",
  other: "another viewer holds the controls",
  nobody: "nobody holds the controls",
};
const button = (key) => document.querySelector(`[data-key="${key}"]`);

export function showHello({ source, camera, help, max_keypoints: most }) {
  element("source").textContent = source;
  document.title = `${source} – realtime-kp`;
  element("camera-buttons").hidden = !camera;
  element("help").replaceChildren(...[...help, "hover: id, age and σ of a track"].map((line) => item(line)));
  element("keypoints").max = most;
  element("keypoints").min = Math.min(16, most);
}

export function showPhase() {
  const { status, online } = page;
  const phase = !online ? "offline" : status?.paused ? "paused" : (status?.phase ?? "loading");
  element("phase").textContent = phase === "offline" ? "no connection" : phase;
  element("phase").className = `pill ${phase}`;
  const away = page.ended ? "the run has ended; waiting for the next one" : "no connection to the server, trying again";
  element("banner").textContent = online ? (status?.reason ?? "") : away;
  element("banner").hidden = element("banner").textContent === "";
  element("banner").classList.toggle("good", online && phase === "loading");
}

let messageTimer = 0;

/** A message for some seconds, which news of the run do not replace. */
export function showMessage(text) {
  element("message").textContent = text;
  element("message").hidden = text === "";
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => (element("message").hidden = true), MESSAGE_MS);
}

export function showHolder() {
  const { holder, online, readOnly, viewers } = page;
  const here = viewers === 1 ? "1 viewer" : `${viewers} viewers`;
  element("holder").textContent = online ? `${here}, ${readOnly ? "read only" : HOLDERS[holder]}` : "";
  element("take").hidden = !online || readOnly || holder === "you";
  element("release").hidden = holder !== "you" || viewers < 2;
  element("stage").classList.toggle("controlled", mayControl());
  showButtons();
}

export function showButtons() {
  const { status } = page;
  for (const each of document.querySelectorAll("[data-key], [data-control]")) each.disabled = !mayControl();
  button(".").disabled ||= !status?.paused;
  button(" ").textContent = status?.paused ? "Go on" : "Pause";
  button("v").textContent = status?.recording ? "Stop recording" : "Record";
  button("v").classList.toggle("on", Boolean(status?.recording));
  button("m").classList.toggle("on", Boolean(status?.everywhere));
  // Whoever has lost the controls can still switch the own camera off.
  element("camera").disabled = page.camera === null && !mayControl();
  element("camera").textContent = page.camera === null ? "Use this device's camera" : "Stop the camera";
}

export function showLayers() {
  for (const layer of Object.values(LAYER_KEYS)) element(`layer-${layer}`).checked = shownLayers().has(layer);
  element("drawn").checked = page.drawn;
}

export function showSliders() {
  element("trail-value").textContent = page.trailLength;
  if (page.settings === null || page.status === null) return;
  const { threshold, max_keypoints: keypoints } = page.status;
  // Not while they are being moved.
  if (document.activeElement !== element("threshold")) element("threshold").value = placeOf(threshold);
  if (document.activeElement !== element("keypoints")) element("keypoints").value = keypoints;
  element("threshold-value").textContent = threshold.toFixed(4);
  element("keypoints-value").textContent = keypoints;
}

export function showFiles(files) {
  element("files").hidden = files.length === 0;
  const list = element("files").querySelector("ul");
  list.replaceChildren(...files.map(({ name, url }) => item(name, url)));
}

/** The threshold at a place of its slider, which is logarithmic: its range spans three decades. */
export function thresholdAt(place) {
  const [least, most] = page.settings.threshold_range;
  return least * (most / least) ** (place / 1000);
}

function placeOf(threshold) {
  const [least, most] = page.settings.threshold_range;
  return (1000 * Math.log(threshold / least)) / Math.log(most / least);
}

function item(text, url) {
  const entry = document.createElement("li");
  if (url === undefined) {
    entry.textContent = text;
    return entry;
  }
  const link = entry.appendChild(document.createElement("a"));
  link.textContent = link.download = text;
  link.href = url;
  return entry;
}
