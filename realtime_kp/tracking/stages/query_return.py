"""Stages: points that the user asked for are recognised by the keypoints around them."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.matching import distance_to_similarity, mutual_nearest_neighbours
from realtime_kp.tracking.motion import estimate_motion
from realtime_kp.tracking.position_sigma import seen_sigma_px
from realtime_kp.tracking.query_points import Surroundings
from realtime_kp.tracking.stages.alignment import accept
from realtime_kp.tracking.stages.late_detection import carry
from realtime_kp.tracking.stages.re_identification import confirm_again
from realtime_kp.tracking.stages.return_by_prediction import MIN_CORRELATION_RETURNING
from realtime_kp.tracking.stages.state import FloatArray, FrameState

_KEYPOINTS, _MIN_KEYPOINTS, _MIN_AGREEING = 32, 8, 8
_MIN_SHARE_AGREEING = 0.3
_EVERY_FRAMES = 8
_MAX_POINTS = 32
_LOST_FRAMES = 2
_STEP_PX, _MAX_SHIFT_PX = 3.0, 6.0
_MAX_TURN = 0.3
_STARTS_PX = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)], np.float32) * np.float32(_STEP_PX)


def remember_surroundings(state: FrameState) -> None:
    """Remember the keypoints around points that are seen, of the first detection and of the newest."""
    seen, table, queries = state.require_observation(), state.table, state.memory.queries
    keypoints = seen.keypoints
    if not state.memory.use_descriptors or len(keypoints) < _MIN_KEYPOINTS:
        return
    places = np.flatnonzero(seen.seen & table.pinned[seen.rows] & (table.flow_only[seen.rows] == 0))
    for place in places.tolist():
        row = int(seen.rows[place])
        point = int(table.ids[row])
        if point in queries.surroundings and (state.current.index + row) % _EVERY_FRAMES:
            continue
        xy = seen.xy[place]
        order = np.argsort(np.linalg.norm(keypoints.xy - xy, axis=1))[:_KEYPOINTS]
        found = Surroundings(
            xy.copy(),
            table.affine[row].copy(),
            state.memory.patches.get(table.slots[row : row + 1]),
            keypoints.xy[order].copy(),
            keypoints.descriptors[order].astype(np.float32),
        )
        queries.remember(point, found)


def recognise_query_points(state: FrameState) -> None:
    """Let lost points return where descriptors of the keypoints around them put them and the patch agrees.

    As a point of the user's choice is mostly no keypoint, its own descriptor could not be found again; the
    keypoints around it can be, anywhere in the picture, and agree on one motion (`motion.estimate_motion`).
    """
    table, memory = state.table, state.memory
    if not memory.use_descriptors or not table.pinned.any():
        return
    lost = np.flatnonzero(table.pinned & ~table.active & (table.missed >= _LOST_FRAMES))
    turns = max(1, -(-len(lost) // _MAX_POINTS))
    for row in lost[state.current.index % turns :: turns].tolist():
        known = memory.queries.surroundings.get(int(table.ids[row]), ())
        for surroundings in reversed(known):
            if _returned(state, row, surroundings):
                break


def _returned(state: FrameState, row: int, known: Surroundings) -> bool:
    """Whether a lost point is where one of its surroundings was found again; then it is confirmed there."""
    seen, table, patches = state.require_observation(), state.table, state.memory.patches
    keypoints = seen.keypoints
    if known.descriptors.shape[1] != keypoints.descriptors.shape[1]:
        return False
    pairs = mutual_nearest_neighbours(
        known.descriptors,
        keypoints.descriptors.astype(np.float32, copy=False),
        distance_to_similarity(state.memory.config.match_threshold),
    )
    motion = estimate_motion(known.xy[pairs.a], keypoints.xy[pairs.b], lens=state.lens)
    if motion is None or motion.inlier_share < _MIN_SHARE_AGREEING:
        return False
    if motion.inlier_share * len(pairs) < _MIN_AGREEING:
        return False
    point = known.point_xy[None]
    there, good = carry(state, seen.past, motion.apply(point).astype(np.float32))
    if not good[0]:
        return False
    slot = table.slots[row : row + 1]
    before = patches.get(slot)
    patches.replace(slot, known.patch)
    affine = np.matmul(motion.jacobian(point), known.affine[None]).astype(np.float32)
    if _aligned(state, row, there, affine):
        return True
    patches.replace(slot, before)
    return False


def _aligned(state: FrameState, row: int, there: FloatArray, affine: FloatArray) -> bool:
    """Whether the key patch is found near a place: from nine starts, as the place is off by some pixels."""
    table, patches, count = state.table, state.memory.patches, len(_STARTS_PX)
    slots = np.repeat(table.slots[row : row + 1], count)
    start_xy = there + _STARTS_PX
    xy, shape, correlation = patches.align_with_shape(
        state.current.values, slots, start_xy, np.repeat(affine, count, axis=0), _MAX_TURN
    )
    good = accept(state.current, there, xy, correlation, MIN_CORRELATION_RETURNING, _MAX_SHIFT_PX)
    if not good.any():
        return False
    best = np.flatnonzero(good)[[np.argmax(correlation[good])]]
    noise_px = patches.noise_px(slots[best], shape[best], correlation[best])
    rows = np.array([row])
    sure = np.zeros(1, np.bool_)
    sigma_px = seen_sigma_px(noise_px, table.misfit_px[rows], sure, in_depth=state.memory.has_structure)
    confirm_again(state, rows, xy[best], shape[best], sigma_px)
    return True
