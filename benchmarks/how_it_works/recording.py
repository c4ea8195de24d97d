"""A run of the tracker, and what it knew in each frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.sources import open_source
from realtime_kp.tracking import Tracker
from realtime_kp.tracking.history import GreyFrame
from realtime_kp.tracking.hybrid_method import HybridMethod
from realtime_kp.tracking.stages.global_motion import estimate_global_motion
from realtime_kp.tracking.stages.prediction import predict
from realtime_kp.tracking.stages.state import FrameState

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """The tracks of the previous frame, predicted into this one before they were aligned.

    Attributes:
        ids: `(M,) int64`, ascending.
        xy: `(M, 2)`, predicted positions.
        affine: `(M, 2, 2)`, predicted maps from pixels of the key patches to pixels of the frame.
        keys: `(M, 121)`, key patches.
        descriptors: `(M, D)`.
        seen: `(M,) bool`, whether each was seen in the previous frame.
    """

    ids: NDArray[np.int64]
    xy: FloatArray
    affine: FloatArray
    keys: FloatArray
    descriptors: FloatArray
    seen: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One frame of a run.

    Attributes:
        frame: The frame.
        keypoints: Its keypoints.
        tracks: All tracks after it.
        inverse_depths: `(M,)`, relative ones of these tracks.
        placed: `(M,) bool`, whose inverse depth is known.
        predicted: The tracks as they were predicted; None in the first frame.
    """

    frame: Frame
    keypoints: Keypoints
    tracks: Tracks
    inverse_depths: FloatArray
    placed: NDArray[np.bool_]
    predicted: Predicted | None

    def rows(self, ids: NDArray[np.int64]) -> IntArray:
        """Rows of tracks that exist."""
        return np.searchsorted(self.tracks.ids, ids)


def follow(source: str, superpoint: SuperPoint, frames: int) -> list[Moment]:
    """Track keypoints through a source, and record what the tracker knows of each frame."""
    tracker, moments = Tracker(), list[Moment]()
    method = tracker._method
    assert isinstance(method, HybridMethod)
    with open_source(source) as opened:
        for frame in opened:
            if frame.index >= frames:
                break
            keypoints = superpoint(frame.image_bgr)
            predicted = _predicted(method, frame, keypoints)
            tracks, memory = tracker.update(frame, keypoints), method._memory
            assert memory is not None
            depths, placed = memory.table.inverse_depths.copy(), memory.table.placed
            moments.append(Moment(frame, keypoints, tracks, depths, placed, predicted))
    return moments


def _predicted(method: HybridMethod, frame: Frame, keypoints: Keypoints) -> Predicted | None:
    memory, previous = method._memory, method._previous
    if memory is None or previous is None:
        return None
    # These stages write into the state of the frame only.
    state = FrameState(memory, previous, GreyFrame.of(frame), 1, keypoints, frame)
    estimate_global_motion(state)
    predict(state)
    table, keys = memory.table, memory.patches.get(memory.table.slots).steps[:, 2]
    return Predicted(
        table.ids.copy(), state.xy, state.affine, keys, table.descriptors.copy(), table.seen.copy()
    )
