"""Stage: prediction of positions and affine maps."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.stages.state import FrameState

_MIN_RESIDUAL_MOTION_PX = 1.0


def predict(state: FrameState) -> None:
    """Predict every track by the global motion and, where it is noticeable, its own residual motion.

    Without a global motion, tracks are predicted by their velocity.
    """
    table, elapsed = state.table, np.float32(state.elapsed)
    if state.motion is None:
        state.moved_xy = table.xy
        state.xy = table.xy + table.velocity * elapsed
        return
    state.moved_xy = state.motion.apply(table.xy, table.inverse_depths)
    jacobian = state.motion.jacobian(table.xy, table.inverse_depths, table.depth_slopes)
    state.affine = np.matmul(jacobian, table.affine)
    state.sure_affine = np.matmul(jacobian, table.sure_affine)
    residual = table.residual_motion * elapsed
    noticeable = np.abs(residual).max(axis=1, initial=0) > _MIN_RESIDUAL_MOTION_PX
    state.xy = state.moved_xy + np.where(noticeable[:, None], residual, 0)
