// The camera of this device, sent to the server as JPEG pictures with their times.

import { Socket } from "./socket.js";

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: "environment" };
const QUALITY = 0.85;
// More than this on its way, and a picture is left out: it would only arrive late.
const MOST_WAITING_BYTES = 150_000;

export class Camera {
  /**
   * @param {import("./clock.js").ServerClock} clock
   * @param {(reason: string) => void} onEnd Called once; without a reason where the user wanted it.
   */
  constructor(clock, onEnd) {
    this.clock = clock;
    this.onEnd = onEnd;
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    this.busy = false;
    this.stopped = false;
  }

  async start() {
    try {
      if (!navigator.mediaDevices) throw new Error("open this page by https, or on localhost");
      const media = await navigator.mediaDevices.getUserMedia({ video: WANTED, audio: false });
      this.media = media;
      // It may have been stopped while the user was asked.
      if (this.stopped) return this.release();
      media.getVideoTracks()[0].addEventListener("ended", () => this.stop("the camera was switched off"));
      this.video.srcObject = media;
      await this.video.play();
    } catch (error) {
      return this.stop(`the camera cannot be used: ${error.message}`);
    }
    if (this.stopped) return this.release();
    let opened = false;
    this.socket = new Socket("camera", {
      onMessage() {},
      onOpen: () => (opened = true),
      onLost: () => {
        if (!opened) this.stop("the server does not take this camera: another one is in use");
      },
    });
    this.next();
  }

  next() {
    if (this.stopped) return;
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.take());
    else setTimeout(() => this.take(), 33);
  }

  take() {
    const grabbedS = this.clock.known ? this.clock.serverS() : 0;
    this.next();
    if (this.busy || this.stopped || !this.socket.isOpen || this.socket.waitingBytes > MOST_WAITING_BYTES) return;
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
    if (blob !== null && !this.stopped) this.socket.send(new Blob([new Float64Array([grabbedS]), blob]));
  }

  stop(reason = "") {
    if (this.stopped) return;
    this.stopped = true;
    this.release();
    this.socket?.close();
    this.onEnd(reason);
  }

  release() {
    this.media?.getTracks().forEach((track) => track.stop());
  }
}
