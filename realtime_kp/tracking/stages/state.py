"""The state that all stages share while one frame is processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, TrackState
from realtime_kp.tracking.history import GreyFrame, History, PastFrame
from realtime_kp.tracking.motion import GlobalMotion
from realtime_kp.tracking.optical_flow import match_brightness
from realtime_kp.tracking.parallax import UNKNOWN
from realtime_kp.tracking.patch_pool import PatchPool
from realtime_kp.tracking.query_points import QueryPoints
from realtime_kp.tracking.table import AlignedTable
from realtime_kp.tracking.track_registry import TrackRegistry

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]
Mask = NDArray[np.bool_]

_HIDDEN_FRAMES = 30
_DECAY = 0.95
_MIN_HIDDEN = 200
_SCENE_FRAMES = 16


@dataclass(frozen=True, slots=True)
class Anchor:
    """A frame against which parallax is looked for.

    Attributes:
        index: Index of the frame.
        ids: `(N,) int64`, tracks seen in it.
        xy: `(N, 2) float32`, their positions.
    """

    index: int
    ids: NDArray[np.int64]
    xy: FloatArray


@dataclass(slots=True)
class ReturnRate:
    """How often hidden tracks return, learned from those of the last second or so.

    Attributes:
        hidden: Decaying sum of the number of hidden tracks in each frame.
        returned: Decaying sum of the number of those that returned.
    """

    hidden: float = 0.0
    returned: float = 0.0

    def add(self, hidden: int, returned: int) -> None:
        """Add a frame."""
        self.hidden = _DECAY * self.hidden + hidden
        self.returned = _DECAY * self.returned + returned

    def share_within(self, frames: int) -> float:
        """Expected share of the hidden tracks that return within some frames; all while nothing is known."""
        if self.hidden < _MIN_HIDDEN:
            return 1.0
        return 1.0 - (1.0 - min(1.0, self.returned / self.hidden)) ** frames


@dataclass(slots=True)
class Memory:
    """What the hybrid tracker keeps from one frame to the next.

    Attributes:
        config: Settings of the tracker.
        registry: Issues ids and records ended tracks.
        table: All tracks.
        patches: Key patches of the tracks.
        history: Past frames with track positions.
        use_descriptors: Whether lost tracks are kept and re-identified; else a lost track ends.
        detected_index: Frame of the newest detection; the first frame before there is any.
        motion: Global motion of the last frame; None where it is unknown.
        returns: How often hidden tracks return.
        last_id_before_cut: Tracks with ids up to this one were lost at a scene change; 0 for none.
        seen_ids: Ids of the tracks seen in each of the last frames of this scene, oldest first.
        has_structure: Whether the inverse depths of the tracks are known.
        anchor: The frame against which parallax is looked for while they are not.
        queries: Points that the user asked for.
    """

    config: TrackingConfig
    registry: TrackRegistry
    table: AlignedTable
    patches: PatchPool
    history: History
    use_descriptors: bool
    detected_index: int = 0
    motion: GlobalMotion | None = None
    returns: ReturnRate = field(default_factory=ReturnRate)
    last_id_before_cut: int = 0
    seen_ids: deque[NDArray[np.int64]] = field(default_factory=lambda: deque(maxlen=_SCENE_FRAMES))
    has_structure: bool = False
    anchor: Anchor | None = None
    queries: QueryPoints = field(default_factory=QueryPoints)

    def take_length(self, keypoints: Keypoints) -> None:
        """Forget the descriptors of the tracks where those of a detection have another length."""
        length = keypoints.descriptors.shape[1]
        if length != self.table.descriptors.shape[1]:
            self.table.forget_descriptors(length)

    def drop_structure(self) -> None:
        """Forget the inverse depths of all tracks."""
        self.has_structure, self.anchor = False, None
        self.table.inverse_depths[:] = 0
        self.table.depth_slopes[:] = self.table.misfit_px[:] = 0
        self.table.depth_variances[:] = UNKNOWN

    def end_tracks(self, ended: Mask) -> None:
        """Remove tracks from the table, record their lengths and free their key patches.

        Args:
            ended: `(M,) bool`; pinned tracks among them are lost instead.
        """
        if (ended & self.table.pinned).any():
            self.table.lose(ended & self.table.pinned)
            ended = ended & ~self.table.pinned
        if ended.any():
            table = self.table
            self.registry.record_ended(table.lengths[ended & (table.states != TrackState.TENTATIVE)])
            self.patches.release(table.slots[ended])
            table.keep(~ended)


@dataclass(slots=True)
class Observation:
    """A detection with the positions that the tracks had in its frame.

    Attributes:
        keypoints: The detection.
        past: Its frame.
        rows: `(R,)` rows of the table that existed in that frame.
        xy: `(R, 2) float32`, their positions there.
        seen: `(R,) bool`, whether they were seen there.
        free: `(N,) bool`, keypoints that are not close to any track.
        confirmed_rows: Rows of the table that a keypoint confirmed.
        returned: Number of lost tracks that returned by it.
    """

    keypoints: Keypoints
    past: PastFrame
    rows: IntArray
    xy: FloatArray
    seen: Mask
    free: Mask = field(init=False)
    confirmed_rows: IntArray = field(init=False)
    returned: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.free = np.ones(len(self.keypoints), np.bool_)
        self.confirmed_rows = np.zeros(0, np.intp)


class FrameState:
    """All that the stages of one frame read and write.

    The first group of stages moves the tracks from the previous frame to the current one; its results are
    the arrays below, which the last stage of the group writes into the table. The second group processes a
    detection and writes into the table directly.

    Args:
        memory: What is kept between frames.
        previous: The frame before; None for the first one.
        current: The frame.
        elapsed: Number of frames from `previous` to `current`, above 1 where frames were dropped.
        keypoints: A detection of this frame or of an earlier one; None where there is none.
        frame: The frame as it came, for its mask, lens and time; None has none of them.

    Attributes:
        motion: Global motion from the previous to the current frame; None where it is unknown.
        moved_xy: `(M, 2)`, positions predicted by the global motion alone.
        xy: `(M, 2)`, positions: first predicted, then found.
        affine: `(M, 2, 2)`, from the key patch to the current frame.
        sure_affine: `(M, 2, 2)`, the same for the maps that tracks fall back to when they are lost.
        found: `(M,) bool`, whether the track was found in the current frame.
        correlation: `(M,) float32`, normalised cross-correlation with the key patch, of the last alignment.
        flow_only: `(M,) bool`, found by optical flow but not confirmed by its key patch.
        partial: `(M,) bool`, aligned by a part of the key patch.
        duplicate: `(M,) bool`, at the position of an older track.
        observation: The detection in relation to the tracks; None where there is none.
    """

    def __init__(
        self,
        memory: Memory,
        previous: GreyFrame | None,
        current: GreyFrame,
        elapsed: int = 1,
        keypoints: Keypoints | None = None,
        frame: Frame | None = None,
    ) -> None:
        table = memory.table
        self.memory = memory
        self.previous = previous
        self.current = current
        self.elapsed = elapsed
        self.keypoints = keypoints
        self.frame = frame
        self.mask = None if frame is None else frame.mask
        self.lens = None if frame is None else frame.lens
        self.motion: GlobalMotion | None = None
        self.moved_xy = self.xy = table.xy
        self.affine = table.affine
        self.sure_affine = table.sure_affine
        self.found = np.zeros(len(table), np.bool_)
        self.correlation = np.zeros(len(table), np.float32)
        self.flow_only = np.zeros(len(table), np.bool_)
        self.partial = np.zeros(len(table), np.bool_)
        self.duplicate = np.zeros(len(table), np.bool_)
        self.observation: Observation | None = None
        self._previous_grey: NDArray[np.uint8] | None = None
        self.active_rows = np.flatnonzero(table.active)

    @property
    def table(self) -> AlignedTable:
        """All tracks."""
        return self.memory.table

    @property
    def previous_grey(self) -> NDArray[np.uint8]:
        """`(H, W) uint8`: the previous frame with the brightness and contrast of the current one.

        Raises:
            ValueError: There is no previous frame.
        """
        if self._previous_grey is None:
            if self.previous is None:
                raise ValueError("the first frame has no previous frame to align from")
            self._previous_grey = match_brightness(self.previous.grey, self.current.grey)
        return self._previous_grey

    @property
    def keypoints_of_current_frame(self) -> Keypoints | None:
        """The detection, where it is of the current frame."""
        if self.keypoints is None or self.keypoints.frame_index not in (None, self.current.index):
            return None
        return self.keypoints

    def require_observation(self) -> Observation:
        """The observation, for stages that run with a detection only.

        Raises:
            ValueError: `observe` was not run, or found no frame for the detection.
        """
        if self.observation is None:
            raise ValueError("this stage needs a detection whose frame is in the history")
        return self.observation


def hidden_rows(state: FrameState) -> Mask:
    """`(M,) bool`: tracks lost not long ago inside the picture, not at a scene change."""
    table = state.table
    hidden = ~table.active & state.current.inside(table.xy, 0)
    return hidden & (table.ids > state.memory.last_id_before_cut) & (table.missed <= _HIDDEN_FRAMES)


Stage = Callable[[FrameState], None]
