// What the page knows; its parts read it, and main.js changes it.

import { ServerClock } from "./clock.js";
import { Paints } from "./figures.js";
import { TrackHistory } from "./tracks.js";

const query = new URLSearchParams(location.search);

export const page = {
  settings: null, // the server's hello
  status: null, // the server's newest status
  holder: "nobody", // of the controls: you, other, nobody
  readOnly: false,
  viewers: 0,
  online: false,
  ended: false, // whether the server has said that its run is over
  camera: null, // this device's, while it is used
  layers: new Set(), // drawn by this page
  trailLength: 20,
  drawn: query.get("drawn") === "1", // whether the server draws
  marked: query.get("marked") === "1", // whether the number of each frame is in its picture
  codec: "jpeg",
};

export const clock = new ServerClock();
export const paints = new Paints();
export const history = new TrackHistory();

export const element = (id) => document.getElementById(id);
export const mayControl = () => page.online && page.holder === "you";
/** Layers of the picture that is seen. */
export const shownLayers = () => (page.drawn ? new Set(page.status?.layers ?? []) : page.layers);
