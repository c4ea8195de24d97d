// Pictures from the server: H.264 where the browser decodes it (WebCodecs), else JPEG.

import { Socket } from "./socket.js";

const HEADER_BYTES = 32;
// More than this waits for the decoder, and the next picture is not asked for yet.
const MOST_QUEUED = 2;
// So long without a picture although some went in, and the decoder is given up.
const SILENT_MS = 2000;

export async function chooseCodec() {
  const asked = new URLSearchParams(location.search).get("codec");
  // It is there in secure contexts only: https, and http on this machine.
  if (asked === "jpeg" || typeof VideoDecoder === "undefined") return "jpeg";
  try {
    const { supported } = await VideoDecoder.isConfigSupported({ codec: "avc1.42E01F" });
    return supported ? "h264" : "jpeg";
  } catch {
    return "jpeg";
  }
}

/** Header and data of a message; see the server's Picture.message. */
export function parsePicture(buffer) {
  const view = new DataView(buffer);
  const length = view.getUint32(4, true);
  return {
    version: view.getUint8(0),
    codec: view.getUint8(1) === 0 ? "h264" : "jpeg",
    key: (view.getUint8(2) & 1) === 1,
    frame: Number(view.getBigInt64(8, true)),
    capturedS: view.getFloat64(16, true),
    width: view.getUint32(24, true),
    height: view.getUint32(28, true),
    data: new Uint8Array(buffer, HEADER_BYTES, length),
  };
}

/** Codec string of RFC 6381 from the first parameter set of an Annex B key frame. */
export function codecOf(data) {
  for (let i = 0; i + 6 < data.length; i++) {
    if (data[i] === 0 && data[i + 1] === 0 && data[i + 2] === 1 && (data[i + 3] & 31) === 7) {
      const parts = [...data.subarray(i + 4, i + 7)].map((byte) => byte.toString(16).padStart(2, "0"));
      return `avc1.${parts.join("")}`;
    }
  }
  return null;
}

export class PictureStream {
  /**
   * @param {"h264" | "jpeg"} codec
   * @param {string} variant What is in the pictures: plain, drawn or marked.
   * @param {(picture: {frame: number, capturedS: number, width: number, height: number, image: VideoFrame | ImageBitmap}) => void} onPicture
   *   Takes the image over, and closes it.
   * @param {(reason: string) => void} onFailure The codec does not work here.
   */
  constructor(codec, variant, onPicture, onFailure) {
    this.codec = codec;
    this.onPicture = onPicture;
    this.onFailure = onFailure;
    this.headers = new Map(); // of pictures that are being decoded, by frame
    this.unanswered = []; // frames that went into the decoder, and have not been answered
    this.newestJpeg = -1;
    this.progressAtMs = performance.now();
    this.watch = setInterval(() => this.checkProgress(), SILENT_MS / 4);
    this.socket = new Socket(`picture?codec=${codec}&variant=${variant}&acks=1`, {
      onMessage: (data) => this.take(parsePicture(data)),
      onOpen: () => this.reset(),
    });
  }

  take(picture) {
    if (picture.codec === "jpeg") this.decodeJpeg(picture);
    else this.decodeH264(picture);
  }

  async decodeJpeg(picture) {
    let image = null;
    try {
      image = await createImageBitmap(new Blob([picture.data], { type: "image/jpeg" }));
    } catch {
      // The next one may be whole.
    }
    this.acknowledge(picture.frame);
    // A small one may be ready before a large one that came earlier.
    if (image !== null && picture.frame >= this.newestJpeg) {
      this.newestJpeg = picture.frame;
      this.onPicture({ ...picture, image });
    } else image?.close();
  }

  decodeH264(picture) {
    try {
      if (picture.key) this.configure(picture.data);
      if (this.decoder?.state !== "configured") return this.acknowledge(picture.frame);
      if (this.headers.size === 0) this.progressAtMs = performance.now();
      this.headers.set(picture.frame, picture);
      const chunk = { type: picture.key ? "key" : "delta", timestamp: picture.frame, data: picture.data };
      this.decoder.decode(new EncodedVideoChunk(chunk));
    } catch (error) {
      return this.fail(error.message);
    }
    this.unanswered.push(picture.frame);
    this.answer();
  }

  /** Answer what the decoder has taken: it may hold pictures back until it gets more. */
  answer() {
    if (this.unanswered.length === 0 || this.decoder === undefined) return;
    if (this.decoder.decodeQueueSize > MOST_QUEUED) return;
    this.acknowledge(this.unanswered.at(-1));
    this.unanswered = [];
  }

  checkProgress() {
    if (this.headers.size > 0 && performance.now() - this.progressAtMs > SILENT_MS) {
      this.fail("pictures go in and none come out");
    }
  }

  configure(data) {
    const codec = codecOf(data);
    if (codec === null || (codec === this.codecString && this.decoder?.state === "configured")) return;
    this.reset();
    this.decoder = new VideoDecoder({
      output: (image) => this.decoded(image),
      error: (error) => this.fail(error.message),
    });
    this.decoder.ondequeue = () => this.answer();
    this.decoder.configure({ codec, optimizeForLatency: true });
    this.codecString = codec;
  }

  decoded(image) {
    const picture = this.headers.get(image.timestamp);
    for (const frame of this.headers.keys()) if (frame <= image.timestamp) this.headers.delete(frame);
    this.progressAtMs = performance.now();
    if (picture === undefined) return image.close();
    this.onPicture({ ...picture, image });
  }

  acknowledge(frame) {
    this.socket.sendMessage({ ack: frame });
  }

  reset() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = undefined;
    this.codecString = undefined;
    this.headers.clear();
    this.unanswered = [];
  }

  fail(reason) {
    this.close();
    this.onFailure(reason);
  }

  close() {
    clearInterval(this.watch);
    this.socket.close();
    this.reset();
  }
}
