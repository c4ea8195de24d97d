"""Stage: optical flow as the fallback where alignment failed."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.key_patches import cross_correlation
from realtime_kp.tracking.optical_flow import follow
from realtime_kp.tracking.patch_sampling import sample
from realtime_kp.tracking.stages.alignment import (
    EDGE_PX,
    align_rows,
    align_rows_with_shape,
)
from realtime_kp.tracking.stages.state import FrameState, IntArray

_LEAVING_PX = 6.0
_MIN_CORRELATION = 0.7
_MAX_SHIFT_PX = 1.5
_MIN_CORRELATION_FLOW_ONLY = 0.5
_MIN_CORRELATION_BETWEEN_FRAMES = 0.9
_MAX_FLOW_ONLY = 5
_SIMILAR = 0.4
_MIN_CORRELATION_PLACED = 0.55
_MAX_SHIFT_PLACED_PX = 1.0


def follow_by_optical_flow(state: FrameState) -> None:
    """Follow the tracks that were not found by optical flow, and align them from there.

    Where the structure of the scene has told their place, they are aligned in position and shape instead.
    A track whose appearance differs from its key patch is tracked by flow alone for a few frames, provided
    that it changes slowly from frame to frame: a point at an occlusion boundary changes quickly.
    """
    table = state.table
    rows = state.active_rows[~state.found[state.active_rows]]
    rows = rows[state.current.inside(state.xy[rows], _LEAVING_PX)]
    rows = _align_placed(state, rows)
    if len(rows) == 0:
        return
    there, good = follow(state.previous_grey, state.current.grey, table.xy[rows], state.xy[rows])
    rows, there = rows[good], there[good]
    correlation = align_rows(state, rows, there, _MIN_CORRELATION, _MAX_SHIFT_PX)
    slow = ~state.found[rows] & (correlation >= _MIN_CORRELATION_FLOW_ONLY)
    slow &= table.flow_only[rows] < _MAX_FLOW_ONLY
    slow &= state.current.inside(there, EDGE_PX)
    rows, there = rows[slow], there[slow]
    before = sample(state.previous_grey.astype(np.float32), table.xy[rows], table.affine[rows])
    after = sample(state.current.values, there, state.affine[rows])
    similar = cross_correlation(before, after) >= _MIN_CORRELATION_BETWEEN_FRAMES
    state.xy[rows[similar]] = there[similar]
    state.found[rows[similar]] = state.flow_only[rows[similar]] = True


def _align_placed(state: FrameState, rows: IntArray) -> IntArray:
    """Align tracks whose place the structure of the scene tells, in position and shape, near that place only.

    Returns:
        The other rows.
    """
    table = state.table
    if not state.memory.has_structure or state.motion is None:
        return rows
    placed = table.placed[rows] & (table.flow_only[rows] == 0)
    similar = rows[placed & (state.correlation[rows] >= _SIMILAR)]
    align_rows_with_shape(state, similar, state.xy[similar], _MIN_CORRELATION_PLACED, _MAX_SHIFT_PLACED_PX)
    return np.asarray(rows[~placed])
