"""Keypoints of one frame, the tracks that run through it, and both together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from realtime_kp.frame import Frame
from realtime_kp.timing import StageStarts, StageTimes

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Keypoints of one frame, best first.

    Attributes:
        xy: `(N, 2) float32` in source pixels; the centre of the top-left pixel is (0, 0).
        scores: `(N,) float32` in [0, 1].
        descriptors: `(N, D) float16` or `float32`, unit length.
        frame_index: Index of the frame that they were found in; None for the frame they come with.
    """

    xy: FloatArray
    scores: FloatArray
    descriptors: NDArray[np.floating]
    frame_index: int | None = None

    def __post_init__(self) -> None:
        n = len(self.xy)
        if self.xy.shape != (n, 2) or self.xy.dtype != np.float32:
            raise ValueError(f"xy must be (N, 2) float32, got {self.xy.shape} {self.xy.dtype}")
        if self.scores.shape != (n,) or self.scores.dtype != np.float32:
            raise ValueError(f"scores must be ({n},) float32, got {self.scores.shape} {self.scores.dtype}")
        if self.descriptors.ndim != 2 or len(self.descriptors) != n:
            raise ValueError(f"descriptors must be ({n}, D), got {self.descriptors.shape}")
        if self.descriptors.dtype not in (np.float16, np.float32):
            raise ValueError(f"descriptors must be float16 or float32, got {self.descriptors.dtype}")

    def __len__(self) -> int:
        return len(self.xy)

    def top(self, count: int) -> Keypoints:
        """The best `count` of them."""
        return self.rows(slice(count))

    def rows(self, rows: slice | NDArray[np.intp]) -> Keypoints:
        """Some of them."""
        return Keypoints(self.xy[rows], self.scores[rows], self.descriptors[rows], self.frame_index)

    @classmethod
    def empty(cls, descriptor_dim: int = 256) -> Keypoints:
        """No keypoints at all, with descriptors of the given length."""
        return cls(
            np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, descriptor_dim), np.float32)
        )


class TrackState(IntEnum):
    """Where a track stands in its life: tentative → confirmed → lost → (ended, and gone)."""

    TENTATIVE = 0
    CONFIRMED = 1
    LOST = 2


@dataclass(frozen=True, slots=True)
class Track:
    """One track as it stands at one frame.

    Attributes:
        id: From 1, never used again by the same tracker.
        x: Source pixels.
        y: Source pixels.
        score: Score of its last detection.
        length: Frames in which it was seen so far.
        state: Tentative, confirmed or lost.
        seen: Whether it was seen in this frame; its place is a prediction otherwise.
        trail_xy: `(L, 2) float32`, its last places in source pixels, the current one last.
    """

    id: int
    x: float
    y: float
    score: float
    length: int
    state: TrackState
    seen: bool
    trail_xy: FloatArray = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tracks:
    """All tracks that are alive at one frame, as parallel arrays; iterating yields `Track` views.

    Attributes:
        ids: `(M,) int64`, ascending.
        xy: `(M, 2) float32`, source pixels; predicted where not seen.
        scores: `(M,) float32`.
        lengths: `(M,) int32`, frames seen so far.
        states: `(M,) int8`, values of `TrackState`.
        seen: `(M,) bool`, seen in this frame.
        trails_xy: `(M, L, 2) float32`, the last L places, current one last; NaN where there was none.
    """

    ids: NDArray[np.int64]
    xy: FloatArray
    scores: FloatArray
    lengths: NDArray[np.int32]
    states: NDArray[np.int8]
    seen: NDArray[np.bool_]
    trails_xy: FloatArray

    def __post_init__(self) -> None:
        m = len(self.ids)
        for name in ("xy", "scores", "lengths", "states", "seen", "trails_xy"):
            if len(getattr(self, name)) != m:
                raise ValueError(f"{name} must have {m} rows like ids, got {len(getattr(self, name))}")

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Track]:
        for i in range(len(self.ids)):
            trail = self.trails_xy[i]
            yield Track(
                id=int(self.ids[i]),
                x=float(self.xy[i, 0]),
                y=float(self.xy[i, 1]),
                score=float(self.scores[i]),
                length=int(self.lengths[i]),
                state=TrackState(int(self.states[i])),
                seen=bool(self.seen[i]),
                trail_xy=trail[~np.isnan(trail[:, 0])],
            )

    def where(self, mask: NDArray[np.bool_]) -> Tracks:
        """The tracks for which `mask` (`(M,) bool`) holds."""
        return Tracks(
            self.ids[mask],
            self.xy[mask],
            self.scores[mask],
            self.lengths[mask],
            self.states[mask],
            self.seen[mask],
            self.trails_xy[mask],
        )

    @property
    def confirmed(self) -> Tracks:
        """Confirmed tracks: seen in this frame, or carried through a frame without a detection."""
        return self.where(self.states == TrackState.CONFIRMED)

    @property
    def seen_confirmed(self) -> Tracks:
        """Confirmed tracks that were seen in this frame: the rows of the tracks table."""
        return self.where((self.states == TrackState.CONFIRMED) & self.seen)

    @classmethod
    def empty(cls, trail_length: int = 1) -> Tracks:
        """No tracks."""
        return cls(
            np.zeros(0, np.int64),
            np.zeros((0, 2), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int32),
            np.zeros(0, np.int8),
            np.zeros(0, np.bool_),
            np.zeros((0, trail_length, 2), np.float32),
        )


@dataclass(frozen=True, slots=True)
class Detection:
    """Keypoints that arrived when their frame had passed already.

    Attributes:
        frame_index: Of the frame that they were found in.
        time_s: Source time of that frame.
        size_wh: Its width and height in pixels.
        keypoints: What was found.
    """

    frame_index: int
    time_s: float
    size_wh: tuple[int, int]
    keypoints: Keypoints


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame with its keypoints and tracks: what the pipeline yields.

    Attributes:
        frame: The frame itself.
        keypoints: What the network found in it; None where the network did not look, or is not done.
        tracks: The tracks alive at this frame.
        times_ms: What the stages took so far; those of the network are of the detection that arrived.
        late: What the network found in an earlier frame and the tracks have taken in with this one.
        newest: The newest that the network has told, where frames do not wait for it.
        detection_age: Frames since the newest one that the network has told of; None before the first.
        starts: When the threads began with it; that of the network is of the detection that arrived.
        tracker_state: The tracker as it stood after this frame, to go on from in another run; None where it
            was not kept.
    """

    frame: Frame
    keypoints: Keypoints | None
    tracks: Tracks
    times_ms: StageTimes = field(default_factory=StageTimes)
    late: Detection | None = None
    newest: Detection | None = None
    detection_age: int | None = None
    starts: StageStarts = field(default_factory=StageStarts)
    tracker_state: bytes | None = field(default=None, repr=False)

    @property
    def found(self) -> Keypoints | None:
        """What the network told with this frame, of this frame or of an earlier one."""
        return self.late.keypoints if self.late is not None else self.keypoints

    @property
    def detected(self) -> bool:
        """Whether the network told anything with this frame."""
        return self.found is not None
