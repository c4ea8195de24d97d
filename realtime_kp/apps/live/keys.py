"""Keys of the live window: a frozen state, and the transition for each key."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import AppConfig, Box
from realtime_kp.errors import ArgumentError, SinkError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.lens import StraightView
from realtime_kp.pipeline import Controls, Pipeline
from realtime_kp.reference import ReferencePicture
from realtime_kp.sinks import Click, Drag, VideoFileSink, write_picture, write_track_rows
from realtime_kp.tracking import QueryPoint

log = logging.getLogger(__name__)

_NOTE_S = 2.0
_THRESHOLD_STEP = 1.25
_LEAST_SIDE_PX = 8
_REACH_PX = 15.0
_THRESHOLD_RANGE = (0.0005, 0.9)
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
    note: str = ""
    note_until_s: float = 0.0

    @property
    def controls(self) -> Controls:
        """The part of the state that the pipeline needs."""
        return Controls(
            *(self.paused, self.threshold, self.regions, self.everywhere, self.points, self.removed),
            reference=self.reference,
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
        threshold = float(np.clip(state.threshold * factor, *_THRESHOLD_RANGE))
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
) -> LiveState:
    """The state after a click: the left button adds a point there, the right one gives up the nearest.

    Args:
        state: The state before.
        clicked: Where, and with which button.
        tracked: The frame that is shown.
        mirror: Whether it is shown flipped left to right.
        view: How it was straightened; None where it was not.
    """
    x, y, right = clicked
    x = tracked.frame.size_wh[0] - 1 - x if mirror else x
    if view is not None:
        x, y = np.rint(view.to_source(np.array([[x, y]], np.float64))[0]).astype(int).tolist()
    if not right:
        point = QueryPoint(0, "", (float(x), float(y)), tracked.frame.index)
        return replace(state, points=(*state.points, point)).noting(f"point at {x}, {y}")
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


def snapshot(image_bgr: NDArray[np.uint8], tracked: TrackedFrame) -> str:
    """Save the drawn frame and a table of its tracks in the working folder.

    Returns:
        A message for the HUD: the name of the file, or the reason of the failure.
    """
    stem = f"snapshot_{_stamp()}_f{tracked.frame.index}"
    try:
        write_picture(Path(f"{stem}.png"), image_bgr)
        write_track_rows(Path(f"{stem}.csv"), tracked)
    except SinkError as exc:
        log.error("%s", exc)
        return "snapshot failed"
    log.info("saved %s.png and %s.csv", stem, stem)
    return f"saved {stem}.png"


class Recorder:
    """Recording of the displayed frames, switched on and off; each section is a file of its own.

    Args:
        config: `live.record` names the first file; without it recording starts switched off.

    Attributes:
        frames: Total number of recorded frames.
    """

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._wanted = config.live.record is not None
        self._stack = ExitStack()
        self._sink: VideoFileSink | None = None
        self._files = 0
        self.frames = 0

    @property
    def on(self) -> bool:
        """Whether recording is on."""
        return self._wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def toggle(self) -> None:
        """Switch recording on or off; switching off closes the file."""
        self._wanted = not self._wanted
        if not self._wanted:
            self._stack.close()
            self._sink = None

    def write(self, image_bgr: NDArray[np.uint8], tracked: TrackedFrame, pipeline: Pipeline) -> None:
        """Record a frame if recording is on."""
        if not self._wanted:
            return
        if self._sink is None:
            info, output = pipeline.source_info, self._config.output
            sink = VideoFileSink(
                self._next_path(),
                fps=info.fps if info else None,
                crf=output.crf,
                preset=output.preset,
                from_zero=True,
                pixel_aspect=info.pixel_aspect if info else None,
            )
            self._sink = self._stack.enter_context(sink)
            log.info("recording to %s", sink.path)
        self._sink.write(image_bgr, tracked)
        self.frames += 1

    def _next_path(self) -> Path:
        first = self._config.live.record
        self._files += 1
        if first is None:
            return Path(f"recording_{_stamp()}_{self._files}.mp4")
        if self._files == 1:
            return first
        # Later sections never replace files, since their names were not chosen by the user.
        names = (first.with_name(f"{first.stem}_{number}{first.suffix}") for number in count(self._files))
        return next(name for name in names if not name.exists())


def _stamp() -> str:
    return datetime.now().strftime("%Y%m%d_%H%M%S")
