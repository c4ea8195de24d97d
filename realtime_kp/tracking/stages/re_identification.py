"""Stage: re-identification of lost tracks by descriptor."""

from __future__ import annotations

import numpy as np

from realtime_kp.keypoints import TrackState
from realtime_kp.tracking.key_patches import cut_patches
from realtime_kp.tracking.matching import (
    Pairs,
    distance_to_similarity,
    mutual_best,
    near_pairs,
    runner_up,
    similarities,
)
from realtime_kp.tracking.patch_sampling import min_eigenvalue
from realtime_kp.tracking.position_sigma import seen_sigma_px
from realtime_kp.tracking.stages.alignment import EDGE_PX, accept, max_turn
from realtime_kp.tracking.stages.late_detection import to_current_frame
from realtime_kp.tracking.stages.patch_renewal import MIN_EIGENVALUE
from realtime_kp.tracking.stages.return_by_prediction import MIN_CORRELATION_RETURNING
from realtime_kp.tracking.stages.state import FloatArray, FrameState, IntArray, Mask

_STRICTER = 0.75
_MARGIN = 0.05
_MAX_TRACKS = 512
_MAX_SHIFT_PX = 3.0
_SAME_PLACE_PX = 2.0
_KEYPOINT_SIGMA_PX = 0.8


def re_identify(state: FrameState) -> None:
    """Let lost tracks return at keypoints near their predicted position that have their descriptor."""
    if state.memory.use_descriptors:
        pairs = match_lost(state)
        return_tracks(state, pairs.a, state.require_observation().keypoints.xy[pairs.b])


def match_lost(state: FrameState) -> Pairs:
    """Match lost tracks with free keypoints.

    Returns:
        Rows of the table with rows of the keypoints: mutual nearest neighbours by descriptor within
        `return_radius` that are better than the second best by a margin.
    """
    seen, table, config = state.require_observation(), state.table, state.memory.config
    keypoints = seen.keypoints
    # Those of another scene return together (`relocation`), or not at all.
    same_scene = table.ids[seen.rows] > state.memory.last_id_before_cut
    lost = np.flatnonzero(~seen.seen & ~table.active[seen.rows] & same_scene)
    if len(lost) > _MAX_TRACKS:
        order = np.argsort(table.missed[seen.rows[lost]], kind="stable")
        lost = np.sort(lost[order[:_MAX_TRACKS]])
    columns = np.flatnonzero(seen.free)
    if len(lost) == 0 or len(columns) == 0:
        return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp))
    radius_px = config.return_radius * max(state.current.size_wh)
    near = near_pairs(seen.xy[lost], keypoints.xy[columns], radius_px)
    pairs = Pairs(seen.rows[lost[near.a]], columns[near.b])
    cosines = similarities(table.descriptors, keypoints.descriptors.astype(np.float32, copy=False), pairs)
    good = mutual_best(pairs, cosines)
    good &= cosines >= distance_to_similarity(config.match_threshold * _STRICTER)
    good &= cosines - runner_up(pairs.a, cosines) >= _MARGIN
    return pairs.where(good)


def return_tracks(state: FrameState, rows: IntArray, past_xy: FloatArray) -> None:
    """Confirm lost tracks again where a descriptor was matched and the key patch agrees.

    Where the structure of the scene puts a track at the keypoint, the descriptor is enough: the track gets a
    new key patch.

    Args:
        state: Holds the observation.
        rows: `(R,)` rows of the table.
        past_xy: `(R, 2)`, their positions in the frame of the detection.
    """
    table, current, patches = state.table, state.current, state.memory.patches
    start_xy, good = to_current_frame(state, past_xy)
    rows, start_xy = rows[good], start_xy[good]
    if len(rows) == 0:
        return
    xy, affine, correlation = patches.align_with_shape(
        current.values, table.slots[rows], start_xy, table.affine[rows], max_turn(state.memory)
    )
    alike = accept(current, start_xy, xy, correlation, MIN_CORRELATION_RETURNING, _MAX_SHIFT_PX)
    noise_px = patches.noise_px(table.slots[rows], affine, correlation)
    aligned = np.zeros(len(rows), np.bool_)
    sigma_px = seen_sigma_px(noise_px, table.misfit_px[rows], aligned, in_depth=state.memory.has_structure)
    # A point that the user asked for is no keypoint: it must not move to one.
    changed = ~alike & ~table.pinned[rows] & _at_its_place(state, rows, start_xy)
    xy[changed], affine[changed], sigma_px[changed] = start_xy[changed], np.eye(2), _KEYPOINT_SIGMA_PX
    patches.replace(table.slots[rows[changed]], cut_patches(current.values, start_xy[changed]))
    good = alike | changed
    confirm_again(state, rows[good], xy[good], affine[good], sigma_px[good])


def confirm_again(
    state: FrameState, rows: IntArray, xy: FloatArray, affine: FloatArray, sigma_px: FloatArray
) -> None:
    """Confirm lost tracks where a detection has found them.

    Args:
        state: Holds the observation.
        rows: `(R,)` rows of the table.
        xy: `(R, 2)`, their positions in the current frame.
        affine: `(R, 2, 2)`, from pixels of their key patches to pixels of the frame.
        sigma_px: `(R,)`, standard deviation of the positions.
    """
    table = state.table
    table.xy[rows], table.sigma_px[rows] = xy, sigma_px
    table.affine[rows] = table.sure_affine[rows] = affine
    table.velocity[rows] = table.residual_motion[rows] = 0
    state.require_observation().returned += len(rows)
    table.states[rows] = TrackState.CONFIRMED
    table.seen[rows] = True
    table.missed[rows] = 0
    table.streaks[rows] = 1
    table.lengths[rows] += 1


def _at_its_place(state: FrameState, rows: IntArray, xy: FloatArray) -> Mask:
    """Whether the structure of the scene predicts tracks at positions, on which a track may start."""
    table, current = state.table, state.current
    if not state.memory.has_structure:
        return np.zeros(len(rows), np.bool_)
    there = table.placed[rows] & current.inside(xy, EDGE_PX)
    there &= np.linalg.norm(xy - table.xy[rows], axis=1) <= _SAME_PLACE_PX
    return np.asarray(there & (min_eigenvalue(current.values, xy) >= MIN_EIGENVALUE))
