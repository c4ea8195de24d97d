// Figures of the run, and a plot of the last minute.

const MINUTE_MS = 60_000;
const MOST_PAINTS = 300;
const LINES = [
  ["fps", "#4fd1a5"],
  ["latency_p95_ms", "#ffd166"],
  ["paint_ms", "#6cb6ff"],
];

export class Paints {
  constructor() {
    this.recent = [];
  }

  /** Take how long it took from the capture of a frame until it was painted. */
  take(latencyMs) {
    this.recent.push({ latencyMs, atMs: performance.now() });
    if (this.recent.length > MOST_PAINTS) this.recent.shift();
  }

  /** Paints per second in the last two seconds. */
  get rate() {
    const sinceMs = performance.now() - 2000;
    return this.recent.filter(({ atMs }) => atMs > sinceMs).length / 2;
  }

  percentile(share) {
    if (this.recent.length === 0) return null;
    const sorted = this.recent.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  }
}

export function hudText(status) {
  const { figures, notes } = status;
  const words = [
    `${figures.fps.toFixed(1)} FPS`,
    figures.latency_p50_ms === null ? null : `${figures.latency_p50_ms.toFixed(0)} ms`,
    `${figures.tracks} tracks`,
    ...notes,
  ];
  return words.filter((word) => word !== null).join("   ");
}

export function showFigures(list, status, paints) {
  const { figures } = status;
  const ms = (value) => (value === null ? "–" : `${value.toFixed(0)} ms`);
  const number = (value, digits = 0) => (value === null ? "–" : value.toFixed(digits));
  const rows = [
    ["FPS", number(figures.fps, 1)],
    ["latency p50, p95", `${ms(figures.latency_p50_ms)}, ${ms(figures.latency_p95_ms)}`],
    ["grab to paint p50, p95", `${ms(paints.percentile(0.5))}, ${ms(paints.percentile(0.95))}`],
    ["shown here", `${number(paints.rate, 1)} FPS`],
    ["dropped", `${figures.dropped} of ${figures.read}`],
    ["detections", `${number(figures.detections_per_s, 1)}/s`],
    ["keypoints", number(figures.keypoints)],
    ["tracks", number(figures.tracks)],
    ["on", status.running_on || "–"],
  ];
  list.replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      text.textContent = value;
      return [term, text];
    }),
  );
}

export class Plot {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = [];
  }

  take(sample) {
    const nowMs = performance.now();
    this.samples.push({ atMs: nowMs, ...sample });
    while (this.samples[0].atMs < nowMs - MINUTE_MS) this.samples.shift();
    this.draw(nowMs);
  }

  draw(nowMs) {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const context = canvas.getContext("2d");
    context.lineWidth = 1.5 * ratio;
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    LINES.forEach(([name, style], row) => {
      const most = Math.max(1, ...this.samples.map((sample) => sample[name] ?? 0)) * 1.1;
      context.strokeStyle = context.fillStyle = style;
      context.beginPath();
      for (const sample of this.samples) {
        const value = sample[name];
        if (value === null || value === undefined) continue;
        const x = canvas.width * (1 - (nowMs - sample.atMs) / MINUTE_MS);
        context.lineTo(x, canvas.height * (1 - value / most));
      }
      context.stroke();
      context.fillText(most.toFixed(0), 4 * ratio, (12 + 13 * row) * ratio);
    });
  }
}
