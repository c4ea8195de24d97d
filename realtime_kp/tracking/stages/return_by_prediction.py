"""Stage: lost tracks that are visible again where the global motion predicts them."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.motion import refit
from realtime_kp.tracking.stages.alignment import EDGE_PX, align_rows
from realtime_kp.tracking.stages.state import FrameState

MIN_CORRELATION_RETURNING = 0.9
_MAX_SHIFT_PX = 2.5
_MAX_TRACKS = 512


def find_lost_by_prediction(state: FrameState) -> None:
    """Predict lost tracks by the global motion, refined with the tracks found so far, and align them."""
    if not state.memory.use_descriptors:
        return
    table = state.table
    lost = np.flatnonzero(~table.active)
    if state.motion is not None:
        rows = np.flatnonzero(state.found)
        state.motion = refit(state.motion, table.xy[rows], state.xy[rows])
        state.moved_xy[lost] = state.xy[lost] = state.motion.apply(table.xy[lost])
        state.affine[lost] = np.matmul(state.motion.jacobian(table.xy[lost]), table.affine[lost])
    else:
        state.xy[lost] = table.xy[lost]
    rows = lost[state.current.inside(state.xy[lost], EDGE_PX)]
    if len(rows) > _MAX_TRACKS:
        rows = np.sort(rows[np.argsort(table.missed[rows], kind="stable")[:_MAX_TRACKS]])
    align_rows(state, rows, state.xy[rows], MIN_CORRELATION_RETURNING, _MAX_SHIFT_PX)
