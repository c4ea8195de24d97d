"""Stage: optical flow as the fallback where alignment failed."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.key_patches import cross_correlation, sample
from realtime_kp.tracking.optical_flow import follow
from realtime_kp.tracking.stages.alignment import EDGE_PX, align_rows
from realtime_kp.tracking.stages.state import FrameState

_LEAVING_PX = 6.0
_MIN_CORRELATION = 0.7
_MAX_SHIFT_PX = 1.5
_MIN_CORRELATION_FLOW_ONLY = 0.5
_MIN_CORRELATION_BETWEEN_FRAMES = 0.9
_MAX_FLOW_ONLY = 5


def follow_by_optical_flow(state: FrameState) -> None:
    """Follow the tracks that were not found by optical flow, and align them from there.

    A track whose appearance differs from its key patch is tracked by flow alone for a few frames, provided
    that it changes slowly from frame to frame: a point at an occlusion boundary changes quickly.
    """
    table = state.table
    rows = state.active_rows[~state.found[state.active_rows]]
    rows = rows[state.current.inside(state.xy[rows], _LEAVING_PX)]
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
