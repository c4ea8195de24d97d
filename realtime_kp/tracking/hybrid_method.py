"""The hybrid method: tracks are aligned in every frame and re-identified by descriptor.

The order of all that happens to a frame is the two tuples of stages below.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.frame import Frame, masked_out
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.tracking.history import GreyFrame, History
from realtime_kp.tracking.patch_pool import PatchPool
from realtime_kp.tracking.query_points import QueryPoints
from realtime_kp.tracking.stages.alignment import adapt_affine_maps, align_to_key_patches
from realtime_kp.tracking.stages.birth import start_tracks
from realtime_kp.tracking.stages.confirmation import confirm_by_detection, end_contradicted, observe
from realtime_kp.tracking.stages.corner_birth import start_tracks_on_corners
from realtime_kp.tracking.stages.flow_fallback import follow_by_optical_flow
from realtime_kp.tracking.stages.global_motion import estimate_global_motion, refine_global_motion
from realtime_kp.tracking.stages.life_cycle import (
    end_masked_out,
    end_tracks,
    extend_trails,
    record_history,
    update_tracks,
)
from realtime_kp.tracking.stages.outlier_rejection import reject_duplicates, reject_motion_outliers
from realtime_kp.tracking.stages.partial_alignment import align_partly_visible
from realtime_kp.tracking.stages.patch_renewal import renew_key_patches
from realtime_kp.tracking.stages.prediction import predict
from realtime_kp.tracking.stages.query_return import recognise_query_points, remember_surroundings
from realtime_kp.tracking.stages.query_start import start_query_points
from realtime_kp.tracking.stages.re_identification import re_identify
from realtime_kp.tracking.stages.relocation import relocate_after_scene_change
from realtime_kp.tracking.stages.return_by_prediction import find_lost_by_prediction
from realtime_kp.tracking.stages.scene_change import detect_scene_change
from realtime_kp.tracking.stages.state import FrameState, Memory, Stage
from realtime_kp.tracking.stages.structure import carry_structure, find_structure
from realtime_kp.tracking.table import AlignedTable
from realtime_kp.tracking.track_registry import TrackRegistry

# From the previous frame to the current one.
ALIGNMENT: tuple[Stage, ...] = (
    estimate_global_motion,
    predict,
    align_to_key_patches,
    follow_by_optical_flow,
    reject_motion_outliers,
    refine_global_motion,
    find_lost_by_prediction,
    align_partly_visible,
    reject_duplicates,
    adapt_affine_maps,
    detect_scene_change,
    carry_structure,
    update_tracks,
    find_structure,
    end_tracks,
)
# With a detection, of the current frame or of an earlier one.
DETECTION: tuple[Stage, ...] = (
    confirm_by_detection,
    renew_key_patches,
    relocate_after_scene_change,
    re_identify,
    recognise_query_points,
    remember_surroundings,
    # Only now may rows leave the table: the observation refers to rows as they were.
    end_contradicted,
    start_tracks,
)


class HybridMethod:
    """Aligns tracks in every frame, re-identifies lost ones in detections, starts new ones.

    Args:
        config: Thresholds and ages.
        registry: Issues ids and records ended tracks.
        queries: Points that the user asks for.
        trail_length: Number of past positions kept for each track.
        use_descriptors: Keep lost tracks and re-identify them; else this is plain optical flow with
            alignment, and a track that is lost ends.
    """

    def __init__(
        self,
        config: TrackingConfig,
        registry: TrackRegistry,
        queries: QueryPoints,
        trail_length: int,
        *,
        use_descriptors: bool,
    ) -> None:
        self._config = config
        self._registry = registry
        self._queries = queries
        self._trail_length = trail_length
        self._use_descriptors = use_descriptors
        self._patches = PatchPool()
        self._history = History(config.history)
        self._memory: Memory | None = None
        self._previous: GreyFrame | None = None

    @property
    def confirmed_lengths(self) -> NDArray[np.int32]:
        """Lengths of the current tracks that are or were confirmed."""
        return np.zeros(0, np.int32) if self._memory is None else self._memory.table.confirmed_lengths

    def reset(self, *, keep_queries: bool = False) -> None:
        """End all tracks and drop the history; see `Method`."""
        memory, self._memory, self._previous = self._memory, None, None
        self._history.clear()
        if memory is None:
            return
        if not keep_queries:
            memory.table.pinned[:] = False
        memory.end_tracks(np.ones(len(memory.table), np.bool_))
        if len(memory.table):
            self._memory = self._new_memory(memory.table)
            memory.table.missed[:] = self._config.max_age + 1

    def remove(self, track_id: int) -> None:
        """End a point that the user asked for."""
        if self._memory is not None:
            chosen = self._memory.table.ids == track_id
            self._memory.table.pinned[chosen] = False
            self._memory.end_tracks(chosen)

    def update(self, frame: Frame, keypoints: Keypoints | None, elapsed: int) -> Tracks:
        """Run the stages on a frame; see `Method`."""
        previous, current = self._previous, GreyFrame.of(frame)
        self._previous = current
        if self._memory is None:
            self._memory = self._new_memory()
        if previous is None:
            self._memory.detected_index = frame.index
        state = FrameState(self._memory, previous, current, elapsed, keypoints, frame)
        if previous is not None and len(state.table):
            _run(ALIGNMENT, state)
        end_masked_out(state)
        start_query_points(state)
        start_tracks_on_corners(state)
        record_history(state)
        observe(state)
        if state.observation is not None:
            _run(DETECTION, state)
            end_masked_out(state)
        extend_trails(state)
        tracks = state.table.snapshot()
        # Where a point is hidden by the mask, there is nothing to tell of it.
        return tracks if frame.mask is None else tracks.where(~masked_out(frame.mask, tracks.xy))

    def _new_memory(self, table: AlignedTable | None = None) -> Memory:
        if table is None:
            none, no_slots = Keypoints.empty(0), np.zeros(0, np.intp)
            table = AlignedTable.with_patches(np.zeros(0, np.int64), none, no_slots, self._trail_length)
        return Memory(
            *(self._config, self._registry, table, self._patches, self._history, self._use_descriptors),
            queries=self._queries,
        )


def _run(stages: tuple[Stage, ...], state: FrameState) -> None:
    for stage in stages:
        stage(state)
