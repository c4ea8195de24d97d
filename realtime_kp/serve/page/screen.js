// The picture and the tracks over it.

import { hudText } from "./figures.js";
import { Mapping, drawOverlay } from "./overlay.js";
import { PictureStream } from "./pictures.js";
import { clock, element, history, page, paints } from "./state.js";

const MARK_BITS = 16;
const MARK_PX = 16;
const MOST_MARKS = 1000;

export class Screen {
  constructor() {
    this.stream = null;
    this.waiting = null; // a picture that comes with the next paint
    this.shown = null; // frame and size of the picture that is seen
    this.drag = null; // a region that is being drawn
    this.marks = []; // numbers read back from pictures, and those expected there
    this.painted = new MessageChannel();
    this.painted.port1.onmessage = ({ data: capturedS }) => {
      if (clock.known) paints.take((clock.serverS() - capturedS) * 1e3);
    };
  }

  open() {
    this.stream?.close();
    const variant = page.marked ? "marked" : page.drawn ? "drawn" : "plain";
    this.stream = new PictureStream(page.codec, variant, (picture) => this.take(picture), (reason) => {
      console.warn(`${page.codec}: ${reason}`);
      page.codec = "jpeg";
      this.open();
    });
    element("codec").textContent = page.codec === "h264" ? "H.264" : "JPEG";
  }

  take(picture) {
    const scheduled = this.waiting !== null;
    this.waiting?.image.close();
    this.waiting = picture;
    if (!scheduled) requestAnimationFrame(() => this.paint());
  }

  paint() {
    const picture = this.waiting;
    this.waiting = null;
    const context = this.fitPicture(picture.image);
    const { canvas } = context;
    if (this.mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
    context.drawImage(picture.image, 0, 0, canvas.width, canvas.height);
    context.resetTransform();
    picture.image.close();
    this.shown = { frame: picture.frame, size: [picture.width, picture.height] };
    if (page.marked) this.readMark(context, picture.frame);
    this.redraw();
    // Its turn comes after this paint.
    this.painted.port2.postMessage(picture.capturedS);
  }

  fitPicture(image) {
    const canvas = element("picture");
    const [width, height] = [image.displayWidth ?? image.width, image.displayHeight ?? image.height];
    if (canvas.width !== width || canvas.height !== height) {
      [canvas.width, canvas.height] = [width, height];
      element("stage").style.setProperty("--aspect", width / height);
    }
    return canvas.getContext("2d", { alpha: false, willReadFrequently: page.marked });
  }

  /** The number in the picture itself, read back from the canvas; see the server's marked. */
  readMark(context, frame) {
    const { data } = context.getImageData(0, MARK_PX / 2, MARK_BITS * MARK_PX, 1);
    let read = 0;
    for (let bit = 0; bit < MARK_BITS; bit++) if (data[4 * (bit + 0.5) * MARK_PX] > 127) read |= 1 << bit;
    this.marks.push({ read, expected: frame & (2 ** MARK_BITS - 1) });
    if (this.marks.length > MOST_MARKS) this.marks.shift();
  }

  /** Draw the tracks again, at the resolution of the screen. */
  redraw() {
    if (this.shown === null) return;
    const canvas = fitOverlay();
    drawOverlay(canvas, this.mapping(canvas), {
      tracks: page.drawn ? undefined : this.tracks,
      history,
      layers: page.drawn ? new Set() : page.layers,
      trails: page.settings?.trails ?? "fade",
      trailLength: page.trailLength,
      regions: page.drawn || page.status?.everywhere ? [] : (page.status?.regions ?? []),
      drag: this.drag,
      hud: page.status && hudText(page.status),
    });
  }

  /** Pixels of the source at a place of the stage, in CSS pixels. */
  toSource(x, y) {
    const ratio = window.devicePixelRatio || 1;
    return this.mapping(fitOverlay()).source(x * ratio, y * ratio);
  }

  /** Tracks of the frame that is seen. */
  get tracks() {
    return this.shown === null ? undefined : history.at(this.shown.frame);
  }

  get mirrored() {
    // The server mirrors what it draws.
    return Boolean(page.settings?.mirror) && !page.drawn;
  }

  mapping(canvas) {
    return new Mapping(canvas, this.shown?.size ?? [640, 480], this.mirrored);
  }

  /** What is seen as a PNG file. */
  save() {
    const layers = [element("picture"), element("overlay")];
    const both = document.createElement("canvas");
    both.width = Math.max(...layers.map((layer) => layer.width));
    both.height = Math.max(...layers.map((layer) => layer.height));
    const context = both.getContext("2d");
    for (const layer of layers) context.drawImage(layer, 0, 0, both.width, both.height);
    const link = document.createElement("a");
    link.download = `realtime-kp_f${this.shown?.frame ?? 0}.png`;
    link.href = both.toDataURL("image/png");
    link.click();
  }
}

function fitOverlay() {
  const canvas = element("overlay");
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  return canvas;
}
