"""Stage: renewal of key patches."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.key_patches import cut_patches
from realtime_kp.tracking.patch_sampling import min_eigenvalue
from realtime_kp.tracking.stages.state import FrameState

MIN_EIGENVALUE = 600.0


def renew_key_patches(state: FrameState) -> None:
    """Give tracks that differ from their key patch, but were confirmed by a detection, a new key patch."""
    table, values = state.table, state.current.values
    rows = state.require_observation().confirmed_rows
    rows = rows[(table.flow_only[rows] > 0) & table.seen[rows]]
    if len(rows) == 0:
        return
    rows = rows[min_eigenvalue(values, table.xy[rows]) >= MIN_EIGENVALUE]
    state.memory.patches.replace(table.slots[rows], cut_patches(values, table.xy[rows]))
    table.affine[rows] = table.sure_affine[rows] = np.eye(2, dtype=np.float32)
    table.flow_only[rows] = 0
