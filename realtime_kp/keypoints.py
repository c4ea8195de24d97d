"""Keypoints and tracks of one frame: the data types that the pipeline yields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError
from realtime_kp.frame import Frame
from realtime_kp.timing import StageStarts, StageTimes

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Keypoints of one frame, in descending order of score.

    Attributes:
        xy: `(N, 2) float32` in source pixels; the centre of the top-left pixel is (0, 0).
        scores: `(N,) float32` in [0, 1].
        descriptors: `(N, D) float16` or `float32`, L2-normalised.
        frame_index: Index of the frame in which they were detected; None for the frame passed with
            them.
    """

    xy: FloatArray
    scores: FloatArray
    descriptors: NDArray[np.floating]
    frame_index: int | None = None

    def __post_init__(self) -> None:
        for name in ("xy", "scores", "descriptors"):
            if not isinstance(getattr(self, name), np.ndarray):
                raise ArgumentError(f"{name} must be an array, got a {type(getattr(self, name)).__name__}")
        n = len(self.xy)
        if self.xy.shape != (n, 2) or self.xy.dtype != np.float32:
            raise ArgumentError(f"xy must be (N, 2) float32, got {self.xy.shape} {self.xy.dtype}")
        if self.scores.shape != (n,) or self.scores.dtype != np.float32:
            raise ArgumentError(f"scores must be ({n},) float32, got {self.scores.shape} {self.scores.dtype}")
        if self.descriptors.ndim != 2 or len(self.descriptors) != n:
            raise ArgumentError(f"descriptors must be ({n}, D), got {self.descriptors.shape}")
        if self.descriptors.dtype not in (np.float16, np.float32):
            raise ArgumentError(f"descriptors must be float16 or float32, got {self.descriptors.dtype}")

    def __len__(self) -> int:
        return len(self.xy)

    def top(self, count: int) -> Keypoints:
        """Return the `count` keypoints with the highest scores."""
        return self.rows(slice(count))

    def rows(self, rows: slice | NDArray[np.intp]) -> Keypoints:
        """Return a subset.

        Args:
            rows: Slice, or integer indices `(K,)`.
        """
        return Keypoints(self.xy[rows], self.scores[rows], self.descriptors[rows], self.frame_index)

    @classmethod
    def empty(cls, descriptor_dim: int = 256) -> Keypoints:
        """Return zero keypoints, with descriptors of length `descriptor_dim`."""
        return cls(
            np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, descriptor_dim), np.float32)
        )


class TrackState(IntEnum):
    """Life cycle state of a track: tentative → confirmed → lost → ended (and removed)."""

    TENTATIVE = 0
    CONFIRMED = 1
    LOST = 2


@dataclass(frozen=True, slots=True)
class Track:
    """State of one track at one frame.

    Attributes:
        id: Unique within a tracker, from 1; never reused.
        x: Column in source pixels.
        y: Row in source pixels.
        score: Score of its last detection.
        length: Number of frames in which it was seen so far.
        state: Tentative, confirmed or lost.
        seen: Whether it was seen in this frame; otherwise its position is a prediction.
        sigma_px: Standard deviation of the position, NaN where unknown; see `Tracks`.
        label: Its name, where the user asked for this point; else empty.
        trail_xy: `(L, 2) float32`, its last positions in source pixels, the current one last.
    """

    id: int
    x: float
    y: float
    score: float
    length: int
    state: TrackState
    seen: bool
    trail_xy: FloatArray = field(repr=False)
    sigma_px: float = float("nan")
    label: str = ""


@dataclass(frozen=True, slots=True)
class Tracks:
    """All tracks at one frame, lost ones included, as parallel arrays; iterating yields `Track` views.

    Attributes:
        ids: `(M,) int64`, ascending.
        xy: `(M, 2) float32`, source pixels; predicted if not seen.
        scores: `(M,) float32`.
        lengths: `(M,) int32`, number of frames in which each was seen so far.
        states: `(M,) int8`, values of `TrackState`.
        seen: `(M,) bool`, seen in this frame.
        trails_xy: `(M, L, 2) float32`, the last L positions, the current one last; NaN where the
            track has none: before it began, or while it was lost.
        sigma_px: `(M,) float32`, how sure each is of its position: 68 % of the distances from the true
            position are at most this, 95 % at most twice it; NaN where the method does not tell.
        labels: Names of the points that the user asked for, by id.
        born_xy: `(M, 2) float32`, where each was when it was confirmed, its first place in the tracks table;
            where nothing tells, where it is.
    """

    ids: NDArray[np.int64]
    xy: FloatArray
    scores: FloatArray
    lengths: NDArray[np.int32]
    states: NDArray[np.int8]
    seen: NDArray[np.bool_]
    trails_xy: FloatArray
    sigma_px: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    labels: Mapping[int, str] = field(default_factory=dict)
    born_xy: FloatArray = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    def __post_init__(self) -> None:
        m = len(self.ids)
        if len(self.sigma_px) == 0:
            object.__setattr__(self, "sigma_px", np.full(m, np.nan, np.float32))
        if len(self.born_xy) == 0:
            object.__setattr__(self, "born_xy", self.xy)
        for name in ("xy", "scores", "lengths", "states", "seen", "trails_xy", "sigma_px", "born_xy"):
            if len(getattr(self, name)) != m:
                raise ArgumentError(f"{name} must have {m} rows like ids, got {len(getattr(self, name))}")

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
                sigma_px=float(self.sigma_px[i]),
                label=self.labels.get(int(self.ids[i]), ""),
            )

    def where(self, mask: NDArray[np.bool_]) -> Tracks:
        """Return the tracks selected by `mask`, `(M,) bool`."""
        return Tracks(
            self.ids[mask],
            self.xy[mask],
            self.scores[mask],
            self.lengths[mask],
            self.states[mask],
            self.seen[mask],
            self.trails_xy[mask],
            self.sigma_px[mask],
            self.labels,
            self.born_xy[mask],
        )

    @property
    def confirmed(self) -> Tracks:
        """Confirmed tracks: seen in this frame, or predicted through a frame without a detection."""
        return self.where(self.states == TrackState.CONFIRMED)

    @property
    def seen_confirmed(self) -> Tracks:
        """Confirmed tracks that were seen in this frame: the rows of the tracks table."""
        return self.where((self.states == TrackState.CONFIRMED) & self.seen)

    @classmethod
    def empty(cls, trail_length: int = 1) -> Tracks:
        """Return zero tracks, with trails of `trail_length` positions."""
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
    """Keypoints of one frame, with the frame's index, time and size.

    With asynchronous detection they arrive together with a later frame.

    Attributes:
        frame_index: Index of the frame in which the keypoints were detected.
        time_s: Source timestamp of that frame in seconds.
        time_ns: The same in nanoseconds; see `Frame.time_ns`.
        size_wh: Its width and height in pixels.
        keypoints: The keypoints of that frame.
    """

    frame_index: int
    time_s: float
    time_ns: int
    size_wh: tuple[int, int]
    keypoints: Keypoints


@dataclass(frozen=True, slots=True)
class ReferencePose:
    """Where a reference picture is in a frame.

    Attributes:
        visible: Whether it was found.
        inliers: Number of its patches that agree.
        homography: `(3, 3) float64`, from pixels of the picture to pixels of the frame, undistorted ones
            where the frame has a lens; None where not found.
        corners_xy: `(4, 2) float32`, its corners in the frame, the top left one first, then clockwise.
        rotation: `(3,) float64`, rotation vector (axis times angle, radians) from the picture to the camera;
            None where lens or size of the picture are unknown. In both x points right, y down, z away from
            the viewer, so that a picture seen from the front is not turned.
        translation_m: `(3,) float64`, the middle of the picture in the frame of the camera, metres.
    """

    visible: bool
    inliers: int
    homography: NDArray[np.float64] | None = None
    corners_xy: FloatArray | None = None
    rotation: NDArray[np.float64] | None = None
    translation_m: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame with its keypoints and tracks, as yielded by the pipeline.

    Attributes:
        frame: The frame itself.
        keypoints: Keypoints detected in this frame; None if the network skipped it or has not finished it.
        tracks: The tracks that exist at this frame, lost ones included.
        times_ms: Durations of the stages so far, in milliseconds; the network's stages are those of the
            detection that arrived with this frame.
        late: Detection of an earlier frame that the tracker processed together with this frame.
        newest: Newest detection so far, if frames do not wait for the network; otherwise None.
        updates_since_newest: How many frames were tracked since the one of `newest`, this one included; fewer
            than its age where frames were dropped.
        detection_age: Age of the newest detection in frames; None before the first detection.
        starts: Start times in the threads; `detect` is that of the detection that arrived with this frame.
        reference: Where the reference picture is; None without one.
        refusals: Why points that the user asked for could not start.
        tracker_state: Serialised state of the tracker after this frame, to resume from in another run; None
            if it was not saved.
    """

    frame: Frame
    keypoints: Keypoints | None
    tracks: Tracks
    times_ms: StageTimes = field(default_factory=StageTimes)
    late: Detection | None = None
    newest: Detection | None = None
    updates_since_newest: int = 0
    detection_age: int | None = None
    starts: StageStarts = field(default_factory=StageStarts)
    reference: ReferencePose | None = None
    refusals: tuple[str, ...] = ()
    tracker_state: bytes | None = field(default=None, repr=False)

    @property
    def found(self) -> Keypoints | None:
        """Keypoints that arrived with this frame, detected in it or in an earlier one; None if none did."""
        return self.late.keypoints if self.late is not None else self.keypoints

    @property
    def detected(self) -> bool:
        """Whether a detection arrived with this frame."""
        return self.found is not None
