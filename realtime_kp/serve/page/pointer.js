// Mouse and fingers on the picture: a click is a point, a drag a region, hovering tells of a track.

const LEAST_DRAG_PX = 8;
const REACH_PX = 12;

export class Pointer {
  /**
   * @param {HTMLElement} stage
   * @param {HTMLOutputElement} hover Where a track under the pointer is told.
   * @param {{toSource: (x: number, y: number) => [number, number], tracks: () => object | undefined,
   *          mayControl: () => boolean, onClick: (xy: [number, number], right: boolean) => void,
   *          onDrag: (bounds: number[]) => void, onChange: (drag: number[] | null) => void}} hooks
   */
  constructor(stage, hover, hooks) {
    this.stage = stage;
    this.hooks = hooks;
    this.hover = hover;
    this.pressed = null; // where a button or a finger went down
    this.pointer = null; // and which one
    this.drag = null;
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", () => this.cancel());
    stage.addEventListener("pointerleave", () => (hover.hidden = true));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  place(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    this.stage.focus({ preventScroll: true });
    // A second finger means neither a click nor a region.
    if (this.pressed !== null && event.pointerId !== this.pointer) return this.cancel();
    if (!this.hooks.mayControl()) return;
    const place = this.place(event);
    if (event.button === 2) return this.hooks.onClick(this.hooks.toSource(...place), true);
    if (event.button !== 0) return;
    this.pressed = place;
    this.pointer = event.pointerId;
    this.stage.setPointerCapture(event.pointerId);
  }

  move(event) {
    const place = this.place(event);
    if (this.pressed === null) return this.tell(place);
    if (event.pointerId !== this.pointer) return;
    if (Math.hypot(place[0] - this.pressed[0], place[1] - this.pressed[1]) < LEAST_DRAG_PX && !this.drag) return;
    this.drag = [...this.hooks.toSource(...this.pressed), ...this.hooks.toSource(...place)];
    this.hooks.onChange(this.drag);
  }

  up(event) {
    if (this.pressed === null || event.pointerId !== this.pointer) return;
    if (this.drag !== null) this.hooks.onDrag(this.drag);
    else this.hooks.onClick(this.hooks.toSource(...this.pressed), false);
    this.cancel();
  }

  cancel() {
    this.pressed = this.pointer = this.drag = null;
    this.hooks.onChange(this.drag);
  }

  tell(place) {
    const tracks = this.hooks.tracks();
    const found = tracks && nearest(tracks, this.hooks.toSource(...place), this.reach(place));
    this.hover.hidden = found === undefined;
    if (found === undefined) return;
    const sigma = Number.isNaN(tracks.sigma_px[found]) ? "–" : `${tracks.sigma_px[found].toFixed(2)} px`;
    const name = tracks.labels[tracks.ids[found]];
    this.hover.textContent =
      `${name ? `${name}  ` : ""}id ${tracks.ids[found]}   age ${tracks.length[found]}   σ ${sigma}` +
      (tracks.seen[found] ? "" : "   predicted");
    // Left of the pointer where there is no room on its right.
    const left = Math.min(place[0] + 14, this.stage.clientWidth - this.hover.offsetWidth - 4);
    this.hover.style.left = `${Math.max(0, left)}px`;
    this.hover.style.top = `${Math.max(0, place[1] - 30)}px`;
  }

  reach(place) {
    const [a, b] = [this.hooks.toSource(...place), this.hooks.toSource(place[0] + REACH_PX, place[1])];
    return Math.abs(b[0] - a[0]);
  }
}

function nearest(tracks, [x, y], reach) {
  let [best, found] = [reach, undefined];
  for (let i = 0; i < tracks.ids.length; i++) {
    const gap = Math.hypot(tracks.xy[2 * i] - x, tracks.xy[2 * i + 1] - y);
    if (gap < best) [best, found] = [gap, i];
  }
  return found;
}
