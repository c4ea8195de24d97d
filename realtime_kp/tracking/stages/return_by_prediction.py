"""Stage: lost tracks that are visible again where the global motion predicts them."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.stages.alignment import EDGE_PX, align_rows, align_rows_with_shape
from realtime_kp.tracking.stages.scene_change import MIN_SHARE_FOUND
from realtime_kp.tracking.stages.state import FrameState, IntArray

MIN_CORRELATION_RETURNING = 0.9
_MAX_SHIFT_PX = 2.5
_SIMILAR = 0.6
_MAX_TRACKS = 448
_JUST_LOST = 4


def find_lost_by_prediction(state: FrameState) -> None:
    """Predict lost tracks by the global motion and align them."""
    if not state.memory.use_descriptors:
        return
    table = state.table
    lost = np.flatnonzero(~table.active)
    if state.motion is not None:
        xy, depths = table.xy[lost], table.inverse_depths[lost]
        state.moved_xy[lost] = state.xy[lost] = state.motion.apply(xy, depths)
        jacobian = state.motion.jacobian(xy, depths, table.depth_slopes[lost])
        state.affine[lost] = state.sure_affine[lost] = np.matmul(jacobian, table.sure_affine[lost])
    else:
        state.xy[lost] = table.xy[lost]
    # Of points that are remembered for longer the prediction tells nothing.
    known = ~table.pinned[lost] | (table.missed[lost] <= state.memory.config.max_age)
    rows = lost[known & state.current.inside(state.xy[lost], EDGE_PX)]
    # What has just been lost is tried in every frame, the others in turn.
    turns = max(1, -(-len(rows) // _MAX_TRACKS))
    rows = rows[(table.missed[rows] < _JUST_LOST) | ((rows + state.current.index) % turns == 0)]
    start_xy = state.xy[rows]
    correlation = align_rows(state, rows, start_xy, MIN_CORRELATION_RETURNING, _MAX_SHIFT_PX)
    similar = ~state.found[rows] & (correlation >= _SIMILAR)
    align_rows_with_shape(state, rows[similar], start_xy[similar], MIN_CORRELATION_RETURNING, _MAX_SHIFT_PX)
    _reject_chance_returns(state, rows)


def _reject_chance_returns(state: FrameState, rows: IntArray) -> None:
    """Of the tracks lost at a scene change, let many return together or none: a few resemble by chance."""
    memory, table = state.memory, state.table
    waiting = rows[table.ids[rows] <= memory.last_id_before_cut]
    if len(waiting) == 0:
        return
    if state.found[waiting].mean() < MIN_SHARE_FOUND:
        state.found[waiting] = False
    else:
        memory.last_id_before_cut = 0
