"""How sure a track is of its position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.motion import FloatArray

# Fitted on generated scenes with known motion, flat ones and rooms, so that 68 % of the distances from the
# true position are at most σ and 95 % at most 2 σ (`tests/tracking/test_depth.py`).
_FLAT = (1.35, 6.2)  # factors of the noise and of its square
_IN_DEPTH = (0.75, 20.0)
_MISFIT = 16.0
_LEAST_PX = 0.015
_FLOW_ONLY_PX = 1.5
_GROWTH_PX = 0.05


def seen_sigma_px(
    noise_px: FloatArray, misfit_px: FloatArray, flow_only: NDArray[np.bool_], *, in_depth: bool
) -> FloatArray:
    """Standard deviation of the positions of tracks that are seen.

    An alignment is off by more than its noise where the patch hardly determines it, and where the track has
    not moved as a point of the scene does: it may slide along an edge, or on two surfaces.

    Args:
        noise_px: `(N,)`, standard deviation of the alignment that follows from its Hessian and its residual.
        misfit_px: `(N,)`, mean distance from where the structure of the scene predicted the track.
        flow_only: `(N,) bool`, followed by optical flow, without agreement with the key patch.
        in_depth: Whether the scene has depth, where patches show more than one surface now and then.

    Returns:
        `(N,)`, pixels: 68 % of the distances from the true position are at most this, 95 % at most twice it.
    """
    linear, squared = _IN_DEPTH if in_depth else _FLAT
    variance = (linear * noise_px) ** 2 + (squared * noise_px**2) ** 2
    variance += (_MISFIT * misfit_px * noise_px) ** 2 + np.float32(_LEAST_PX**2)
    variance = variance + np.where(flow_only, np.float32(_FLOW_ONLY_PX**2), 0)
    return np.asarray(np.sqrt(variance), np.float32)


def predicted_sigma_px(sigma_px: FloatArray, frames: int) -> FloatArray:
    """Standard deviation of positions `(N,)` that were predicted over some frames."""
    return np.asarray(sigma_px + np.float32(_GROWTH_PX * frames), np.float32)
