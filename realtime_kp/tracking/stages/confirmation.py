"""Stages: association of a detection with the tracks at the same positions."""

from __future__ import annotations

import numpy as np

from realtime_kp.keypoints import Keypoints
from realtime_kp.tracking.matching import (
    Pairs,
    distance_to_similarity,
    mutual_best,
    near_pairs,
    similarities,
)
from realtime_kp.tracking.stages.outlier_rejection import duplicates
from realtime_kp.tracking.stages.state import FrameState, Observation
from realtime_kp.tracking.table import DESCRIPTOR_MEMORY, AlignedTable

SPACING_PX = 5.0
_SAME_POSITION_PX = 3.0
_CONTRADICTING_SIMILARITY = 0.35
_UPDATE_EVERY = 4
_MAX_CONTRADICTIONS = 3


def observe(state: FrameState) -> None:
    """Find the frame of the detection in the history; without it, the detection is dropped and counted."""
    keypoints = state.keypoints
    if keypoints is None:
        return
    index = state.current.index if keypoints.frame_index is None else keypoints.frame_index
    past = state.memory.history.find(index)
    if past is None:
        state.memory.registry.expired += 1
        return
    state.memory.take_length(keypoints)
    rows, past_rows = past.common_rows(state.table.ids)
    state.memory.detected_index = max(state.memory.detected_index, index)
    state.observation = Observation(keypoints, past, rows, past.xy[past_rows], past.seen[past_rows])


def confirm_by_detection(state: FrameState) -> None:
    """Associate keypoints with the tracks at their positions.

    A pair whose descriptors agree confirms the track and updates its score and descriptor; a pair whose
    descriptors are very different counts as a contradiction. The position is enough for tracks that have no
    descriptor yet, and where descriptors are not used at all.
    """
    seen = state.require_observation()
    table, keypoints = state.table, seen.keypoints
    visible = np.flatnonzero(seen.seen)
    pairs = near_pairs(seen.xy[visible], keypoints.xy, SPACING_PX)
    seen.free[pairs.b] = False
    gap = seen.xy[visible[pairs.a]] - keypoints.xy[pairs.b]
    pairs = pairs.where((gap * gap).sum(axis=1) <= _SAME_POSITION_PX**2)
    pairs = Pairs(seen.rows[visible[pairs.a]], pairs.b)
    cosines = similarities(table.descriptors, keypoints.descriptors.astype(np.float32, copy=False), pairs)
    alike = distance_to_similarity(state.memory.config.match_threshold)
    # As much as is just enough: a track that has a descriptor like the keypoint's goes first.
    cosines[table.detections[pairs.a] == 0] = alike
    best = mutual_best(pairs, cosines)
    pairs, cosines = pairs.where(best), cosines[best]
    if not state.memory.use_descriptors:
        cosines = np.ones_like(cosines)
    agreeing = pairs.where(cosines >= alike)
    _update_from(table, agreeing, keypoints)
    table.contradictions[pairs.a[cosines < _CONTRADICTING_SIMILARITY]] += 1
    seen.confirmed_rows = agreeing.a


def end_contradicted(state: FrameState) -> None:
    """End tracks that several detections contradicted, and duplicates that returned tracks have made."""
    if state.memory.use_descriptors:
        table = state.table
        ended = table.contradictions >= _MAX_CONTRADICTIONS
        if state.require_observation().returned:
            ended = ended | duplicates(table.xy, table.seen, table.pinned)
        table.contradictions[ended] = 0
        state.memory.end_tracks(ended)


def _update_from(table: AlignedTable, pairs: Pairs, keypoints: Keypoints) -> None:
    table.detections[pairs.a] += 1
    table.contradictions[pairs.a] = 0
    table.scores[pairs.a] = keypoints.scores[pairs.b]
    # The mean of many descriptors hardly changes: those tracks are updated every fourth time.
    detections = table.detections[pairs.a]
    pairs = pairs.where((detections <= DESCRIPTOR_MEMORY) | (detections % _UPDATE_EVERY == 0))
    table.update_descriptors(pairs.a, keypoints.descriptors[pairs.b], table.detections[pairs.a])
