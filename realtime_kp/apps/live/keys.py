"""Keys of the live window: a frozen state, and the transition for each key."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from realtime_kp.config import Box
from realtime_kp.errors import ArgumentError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.lens import StraightView
from realtime_kp.pipeline import Controls
from realtime_kp.reference import ReferencePicture
from realtime_kp.sinks import Click, Drag
from realtime_kp.tracking import QueryPoint

_NOTE_S = 2.0
_THRESHOLD_STEP = 1.25
_LEAST_SIDE_PX = 8
_REACH_PX = 15.0
THRESHOLD_RANGE = (0.0005, 0.9)
_LAYER_KEYS = {"k": "keypoints", "t": "tracks", "i": "hud"}


@dataclass(frozen=True, slots=True)
class LiveState:
    """State that the user controls.

    Attributes:
        layers: Layers that are drawn.
        threshold: The keypoint threshold.
        paused: Whether playback is paused.
        help_shown: Whether the list of keys is shown.
        quitting: Whether the user wants to quit.
        regions: Regions that the user drew: left, top, width and height, pixels.
        everywhere: Whether masks and regions do not count.
        points: Points that the user clicked.
        removed: Ids of the points that the user gave up.
        reference: The reference picture.
        max_keypoints: Of each detection the best so many count; None leaves it to the network's own limit.
        note: A short message for the HUD.
        note_until_s: Until when it is shown.
    """

    layers: frozenset[str]
    threshold: float
    paused: bool = False
    help_shown: bool = False
    quitting: bool = False
    regions: tuple[Box, ...] = ()
    everywhere: bool = False
    points: tuple[QueryPoint, ...] = ()
    removed: frozenset[int] = frozenset()
    reference: ReferencePicture | None = None
    max_keypoints: int | None = None
    note: str = ""
    note_until_s: float = 0.0

    @property
    def controls(self) -> Controls:
        """The part of the state that the pipeline needs."""
        return Controls(
            *(self.paused, self.threshold, self.regions, self.everywhere, self.points, self.removed),
            reference=self.reference,
            max_keypoints=self.max_keypoints,
        )

    def noting(self, note: str) -> LiveState:
        """The state with a message for the next two seconds."""
        return replace(self, note=note, note_until_s=time.perf_counter() + _NOTE_S)

    def notes(self, recording: bool) -> tuple[str, ...]:
        """Messages for the HUD."""
        words = [word for word, on in (("PAUSED", self.paused), ("REC", recording)) if on]
        if self.note and time.perf_counter() < self.note_until_s:
            words.append(self.note)
        return tuple(words)


def press(state: LiveState, key: str) -> LiveState:
    """The state after a key was pressed; unknown keys change nothing."""
    if key in ("q", "esc"):
        return replace(state, quitting=True)
    if key == " ":
        return replace(state, paused=not state.paused)
    if key == "h":
        return replace(state, help_shown=not state.help_shown)
    if key in _LAYER_KEYS:
        return replace(state, layers=state.layers ^ {_LAYER_KEYS[key]})
    if key == "m":
        note = "masks and regions count" if state.everywhere else "everywhere"
        return replace(state, everywhere=not state.everywhere).noting(note)
    if key in ("c", "M"):
        return replace(state, regions=()).noting("regions cleared")
    if key in ("b", "N"):
        return replace(state, reference=None).noting("no reference")
    if key in ("e", "r"):
        factor = 1 / _THRESHOLD_STEP if key == "e" else _THRESHOLD_STEP
        threshold = float(np.clip(state.threshold * factor, *THRESHOLD_RANGE))
        return replace(state, threshold=threshold).noting(f"threshold {threshold:.4f}")
    return state


def add_region(
    state: LiveState,
    drag: Drag,
    size_wh: tuple[int, int],
    *,
    mirror: bool = False,
    view: StraightView | None = None,
) -> LiveState:
    """The state with the region that the user dragged the mouse across; thin ones do not count.

    Args:
        state: The state before.
        drag: From x, y to x, y, pixels of the image that is shown.
        size_wh: Width and height of the image.
        mirror: Whether it is shown flipped left to right.
        view: How the frame was straightened; None where it was not.
    """
    left, right = sorted(min(max(x, 0), size_wh[0]) for x in drag[::2])
    top, bottom = sorted(min(max(y, 0), size_wh[1]) for y in drag[1::2])
    left, right = (size_wh[0] - right, size_wh[0] - left) if mirror else (left, right)
    if view is not None:
        left, top, right, bottom = _bounds_in_source(view, (left, top, right, bottom))
    width, height = right - left, bottom - top
    if width < _LEAST_SIDE_PX or height < _LEAST_SIDE_PX:
        return state
    box = (left, top, width, height)
    return replace(state, regions=(*state.regions, box), everywhere=False).noting(f"region {box}")


def _bounds_in_source(view: StraightView, bounds: Drag) -> Drag:
    """The upright rectangle of the source that holds one of the straightened picture."""
    x, y = (np.linspace(first, last, 9) for first, last in zip(bounds[:2], bounds[2:], strict=True))
    places = view.to_source(np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2))
    limit = np.array(view.lens.size_wh)
    low, high = (np.clip(np.rint(side), 0, limit) for side in (places.min(axis=0), places.max(axis=0)))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def click(
    state: LiveState,
    clicked: Click,
    tracked: TrackedFrame,
    *,
    mirror: bool = False,
    view: StraightView | None = None,
    frame: int | None = None,
) -> LiveState:
    """The state after a click: the left button adds a point there, the right one gives up the nearest.

    Args:
        state: The state before.
        clicked: Where, and with which button.
        tracked: The frame that is shown.
        mirror: Whether it is shown flipped left to right.
        view: How it was straightened; None where it was not.
        frame: Index of the frame that was clicked on, where it is an earlier one.
    """
    x, y, right = clicked
    x = tracked.frame.size_wh[0] - 1 - x if mirror else x
    if view is not None:
        x, y = np.rint(view.to_source(np.array([[x, y]], np.float64))[0]).tolist()
    if not right:
        point = QueryPoint(0, "", (float(x), float(y)), tracked.frame.index if frame is None else frame)
        return replace(state, points=(*state.points, point)).noting(f"point at {x:.0f}, {y:.0f}")
    tracks = tracked.tracks
    gaps = {
        track_id: float(np.hypot(*(xy - (x, y))))
        for track_id, xy in zip(tracks.ids.tolist(), tracks.xy, strict=True)
        if track_id in tracks.labels
    }
    nearest = min(gaps, key=gaps.__getitem__, default=None)
    if nearest is None or gaps[nearest] > _REACH_PX:
        return state.noting(f"no point within {_REACH_PX:.0f} px")
    return replace(state, removed=state.removed | {nearest}).noting(f"{tracks.labels[nearest]} removed")


def make_reference(state: LiveState, tracked: TrackedFrame) -> LiveState:
    """The state with the frame that is shown as the reference picture: of several regions, the last one."""
    image = tracked.frame.image_bgr
    if state.regions:
        left, top, width, height = state.regions[-1]
        image = image[top : top + height, left : left + width]
    try:
        picture = ReferencePicture(np.ascontiguousarray(image), f"frame {tracked.frame.index}")
    except ArgumentError as exc:
        return state.noting(str(exc))
    # Where only the region counted, the reference could not be found elsewhere.
    everywhere = state.everywhere or bool(state.regions)
    return replace(state, reference=picture, everywhere=everywhere).noting(f"reference: {picture.name}")
