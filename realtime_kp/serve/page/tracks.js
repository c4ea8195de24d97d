// Tracks from the server, as columns; see the server's tracks_columns.

const TYPES = {
  int64: BigInt64Array,
  int32: Int32Array,
  float32: Float32Array,
  uint8: Uint8Array,
};
const KEPT_FRAMES = 150;
const NONE = [];

export function parseTracks(buffer) {
  const headerLength = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
  const begin = 4 + headerLength;
  const columns = {};
  for (const [name, column] of Object.entries(header.columns)) {
    const count = column.shape.reduce((a, b) => a * b, 1);
    columns[name] = new TYPES[column.dtype](buffer, begin + column.offset, count);
  }
  const ids = Array.from(columns.id, Number);
  return { ...header, ...columns, ids };
}

/** The last frames of tracks, and where each track was in them. */
export class TrackHistory {
  constructor() {
    this.clear();
  }

  clear() {
    this.frames = [];
    this.taken = 0;
    this.trails = new Map();
  }

  take(tracks) {
    const newest = this.frames.at(-1);
    if (newest !== undefined && tracks.frame < newest.frame) this.clear();
    if (newest !== undefined && tracks.frame === newest.frame) {
      this.frames[this.frames.length - 1] = tracks;
      return;
    }
    this.frames.push(tracks);
    if (this.frames.length > KEPT_FRAMES) this.frames.shift();
    const oldest = tracks.frame - KEPT_FRAMES;
    for (let i = 0; i < tracks.ids.length; i++) {
      if (!tracks.seen[i]) continue;
      let trail = this.trails.get(tracks.ids[i]);
      if (trail === undefined) this.trails.set(tracks.ids[i], (trail = []));
      trail.push({ frame: tracks.frame, x: tracks.xy[2 * i], y: tracks.xy[2 * i + 1] });
      while (trail[0].frame < oldest) trail.shift();
    }
    this.taken += 1;
    if (this.taken % 30 === 0) this.forgetBefore(oldest);
  }

  forgetBefore(oldest) {
    for (const [id, trail] of this.trails) if (trail.at(-1).frame < oldest) this.trails.delete(id);
  }

  /** Tracks of a frame, or of the nearest one before it; of the first known, where all are later. */
  at(frame) {
    for (let i = this.frames.length - 1; i >= 0; i--) if (this.frames[i].frame <= frame) return this.frames[i];
    return this.frames[0];
  }

  /** Frames between two places above which a track was lost in between: viewers that are slow skip some. */
  get longestGap() {
    const steps = this.frames.slice(-10).map(({ frame }, i, all) => (i === 0 ? 1 : frame - all[i - 1].frame));
    return Math.max(2, ...steps);
  }

  /** Places of a track so far, the newest last. */
  trail(id) {
    return this.trails.get(id) ?? NONE;
  }
}
