"""Stages: relative structure of a rigid scene with depth, found from parallax and carried on.

With it, tracks are predicted where their surface moves, also while they are hidden or outside the picture.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from realtime_kp.tracking.motion import GlobalMotion, undistorted
from realtime_kp.tracking.parallax import (
    MOVES_PX,
    SETTLED,
    UNKNOWN,
    carry_depths,
    fit_motion,
    observe_depths,
)
from realtime_kp.tracking.stages.state import Anchor, FloatArray, FrameState, IntArray, Mask
from realtime_kp.tracking.surfaces import depths_from_neighbours, slopes_from_neighbours
from realtime_kp.tracking.two_views import depth_spread, has_parallax, structure_from_two_views

_TRY_EVERY = 3
_SLOPES_EVERY = 12
_MISFIT_GAIN = 0.3
_NORMALISE_EVERY = 15
_LEAST_SPREAD, _MAX_SPREAD = 0.02, 2.0
_FARTHEST_DEPTH = 8.0
_MAX_UNEXPLAINED_PX = 1.5
_MIN_SHARE_KEPT = 0.6
_MAX_SPREAD_PX = 1.5
_MIN_INLIER_SHARE = 0.4


def carry_structure(state: FrameState) -> None:
    """Update the inverse depths of the tracks that were found, and carry those of all to this frame.

    Where the motion does not fit the structure any more, as of a scene that is not rigid, it is dropped.
    """
    memory, table, motion = state.memory, state.table, state.motion
    if not memory.has_structure:
        return
    if (
        motion is None
        or motion.epipole is None
        or motion.spread_px > _MAX_SPREAD_PX
        or motion.inlier_share < _MIN_INLIER_SHARE
    ):
        memory.drop_structure()
        return
    depths, variances = _observed_depths(state, motion)
    slopes = _updated_slopes(state, depths, variances)
    table.inverse_depths, table.depth_slopes, table.depth_variances = carry_depths(
        motion, table.xy, depths, slopes, variances
    )
    if state.current.index % _NORMALISE_EVERY == 0:
        _normalise(state, motion)


def _normalise(state: FrameState, motion: GlobalMotion) -> None:
    """Keep the spread of the inverse depths near 1, as thresholds rely on: it grows as things come near."""
    table = state.table
    placed = table.placed & state.found
    spread = depth_spread(table.inverse_depths[placed]) if placed.any() else 1.0
    if spread < _LEAST_SPREAD or 1 / _MAX_SPREAD <= spread <= _MAX_SPREAD:
        return
    scale = np.float32(spread)
    table.inverse_depths /= scale
    table.depth_slopes /= scale
    table.depth_variances = np.minimum(table.depth_variances / scale**2, UNKNOWN)
    state.motion = replace(motion, epipole=None if motion.epipole is None else motion.epipole * spread)


def _observed_depths(state: FrameState, motion: GlobalMotion) -> tuple[FloatArray, FloatArray]:
    """Inverse depths and variances in the previous frame, updated for the tracks that were found.

    A track that no plausible inverse depth explains moves by itself, and keeps the one that it has.
    """
    table = state.table
    depths, variances = table.inverse_depths.copy(), table.depth_variances.copy()
    rows = np.flatnonzero(state.found & table.active)
    _update_misfits(state, motion, rows)
    rows = rows[table.misfit_px[rows] <= MOVES_PX]
    observed = observe_depths(motion, table.xy[rows], state.xy[rows], depths[rows], variances[rows])
    there = motion.apply(table.xy[rows], observed[0])
    settled = variances[rows] < SETTLED
    middle = np.median(depths[table.placed]) if table.placed.any() else np.float32(0)
    wild = np.abs(observed[0] - middle) > _FARTHEST_DEPTH
    wild |= ~settled & (np.linalg.norm(state.xy[rows] - there, axis=1) > _MAX_UNEXPLAINED_PX)
    table.misfit_px[rows[wild]] = 2 * MOVES_PX
    known = rows[~wild]
    depths[known], variances[known] = observed[0][~wild], observed[1][~wild]
    # What the new inverse depth explains is no motion of the track's own.
    state.moved_xy[known] = there[~wild]
    return depths, variances


def _update_misfits(state: FrameState, motion: GlobalMotion, rows: IntArray) -> None:
    table = state.table
    rows = rows[table.depth_variances[rows] < SETTLED]
    there = motion.apply(table.xy[rows], table.inverse_depths[rows])
    misfit = np.linalg.norm(state.xy[rows] - there, axis=1)
    table.misfit_px[rows] += np.float32(_MISFIT_GAIN) * (misfit - table.misfit_px[rows])


def _updated_slopes(state: FrameState, depths: FloatArray, variances: FloatArray) -> FloatArray:
    """Slopes in the previous frame: anew for tracks that have just been lost, and for some others in turn."""
    table, slopes = state.table, state.table.depth_slopes.copy()
    settled = (variances < SETTLED) & (table.misfit_px <= MOVES_PX)
    slopes[~settled] = 0
    known = np.flatnonzero(settled & table.active)
    due = np.zeros(len(table), np.bool_)
    due[state.current.index % _SLOPES_EVERY :: _SLOPES_EVERY] = True
    rows = np.flatnonzero(settled & table.active & (due | ~state.found))
    if len(known):
        xy, known_xy = undistorted(state.lens, table.xy[rows], table.xy[known])
        slopes[rows] = slopes_from_neighbours(xy, depths[rows], known_xy, depths[known])
    return slopes


def find_structure(state: FrameState) -> None:
    """Where tracks have moved against each other since an earlier frame, find their relative structure."""
    memory, table = state.memory, state.table
    if memory.has_structure or not memory.use_descriptors:
        return
    anchor = memory.anchor
    seen = np.flatnonzero(table.seen)
    if anchor is not None:
        _, rows, past = np.intersect1d(table.ids[seen], anchor.ids, assume_unique=True, return_indices=True)
    if anchor is None or len(rows) < _MIN_SHARE_KEPT * len(seen):
        memory.anchor = Anchor(state.current.index, table.ids[seen], table.xy[seen])
        return
    if (state.current.index - anchor.index) % _TRY_EVERY:
        return
    rows = seen[rows]
    before, after = undistorted(state.lens, anchor.xy[past], table.xy[rows])
    if not has_parallax(before, after):
        return
    structure = structure_from_two_views(before, after)
    if structure is None:
        memory.anchor = Anchor(state.current.index, table.ids[seen], table.xy[seen])
        return
    good = rows[structure.good]
    table.inverse_depths[good] = structure.inverse_depths[structure.good]
    table.depth_variances[good] = structure.variances[structure.good]
    others = np.ones(len(table), np.bool_)
    others[good] = False
    _guess(state, others)
    memory.anchor, memory.has_structure = None, True
    memory.motion = fit_motion(
        table.xy[good] - table.velocity[good] * np.float32(state.elapsed),
        table.xy[good],
        table.inverse_depths[good],
        lens=state.lens,
    )


def guess_depths(state: FrameState, xy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverse depths and variances `(N,)` of new tracks at positions `(N, 2)`: those of their neighbours."""
    table = state.table
    known = np.flatnonzero(table.seen & table.placed)
    if not state.memory.has_structure or len(known) == 0 or len(xy) == 0:
        return np.zeros(len(xy), np.float32), np.full(len(xy), UNKNOWN)
    return depths_from_neighbours(xy, table.xy[known], table.inverse_depths[known])


def _guess(state: FrameState, which: Mask) -> None:
    table = state.table
    known = ~which
    table.inverse_depths[which], table.depth_variances[which] = depths_from_neighbours(
        table.xy[which], table.xy[known], table.inverse_depths[known]
    )
