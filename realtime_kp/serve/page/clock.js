// The server's clock, as seen from here: the answer that came back fastest tells most.

const KEPT = 20;

export class ServerClock {
  constructor() {
    this.reset();
  }

  reset() {
    this.samples = [];
    this.aheadMs = undefined;
  }

  /** Take an answer: when it was asked (ms of performance.now), and the server's time in it (s). */
  take(sentMs, serverS) {
    const nowMs = performance.now();
    this.samples.push({ roundTripMs: nowMs - sentMs, aheadMs: serverS * 1e3 - (sentMs + nowMs) / 2 });
    if (this.samples.length > KEPT) this.samples.shift();
    const best = this.samples.reduce((a, b) => (a.roundTripMs <= b.roundTripMs ? a : b));
    this.aheadMs = best.aheadMs;
  }

  get known() {
    return this.aheadMs !== undefined;
  }

  /** The server's time in seconds at a time of performance.now. */
  serverS(localMs = performance.now()) {
    return (localMs + this.aheadMs) / 1e3;
  }
}
