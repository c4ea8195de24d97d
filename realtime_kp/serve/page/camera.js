// The camera of this device, sent to the server as JPEG pictures with their times.

import { Socket } from "./socket.js";

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: "environment" };
const QUALITY = 0.85;
// More than this on its way, and a picture is left out: it would only arrive late.
const MOST_WAITING_BYTES = 150_000;

export class Camera {
  /**
   * @param {import("./clock.js").ServerClock} clock
   * @param {(reason: string) => void} onEnd
   */
  constructor(clock, onEnd) {
    this.clock = clock;
    this.onEnd = onEnd;
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    this.busy = false;
    this.running = false;
  }

  async start() {
    if (!navigator.mediaDevices) throw new Error("this page may not use a camera: open it by https, or on localhost");
    this.media = await navigator.mediaDevices.getUserMedia({ video: WANTED, audio: false });
    this.media.getVideoTracks()[0].addEventListener("ended", () => this.stop("the camera was switched off"));
    this.video.srcObject = this.media;
    await this.video.play();
    this.running = true;
    this.socket = new Socket("camera", { onMessage: () => {} });
    this.next();
  }

  next() {
    if (!this.running) return;
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.take());
    else setTimeout(() => this.take(), 33);
  }

  take() {
    const grabbedS = this.clock.known ? this.clock.serverS() : 0;
    this.next();
    if (this.busy || !this.socket?.isOpen || this.socket.waitingBytes > MOST_WAITING_BYTES) return;
    const [width, height] = [this.video.videoWidth, this.video.videoHeight];
    if (width === 0) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.canvas.getContext("2d").drawImage(this.video, 0, 0);
    this.busy = true;
    this.canvas.toBlob((blob) => this.send(blob, grabbedS), "image/jpeg", QUALITY);
  }

  send(blob, grabbedS) {
    this.busy = false;
    if (blob === null || !this.running) return;
    this.socket.send(new Blob([new Float64Array([grabbedS]), blob]));
  }

  stop(reason = "") {
    this.running = false;
    this.media?.getTracks().forEach((track) => track.stop());
    this.socket?.close();
    this.onEnd(reason);
  }
}
