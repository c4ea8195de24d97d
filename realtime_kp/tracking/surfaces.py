"""Surfaces around points, from the inverse depths of their neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.matching import near_pairs
from realtime_kp.tracking.motion import FloatArray

_NEIGHBOURS = 5
_REACH_PX = 24.0
_FIRST_SCALE = 0.15
_SCALE = 0.03
_ITERATIONS = 3
_RIDGE = 30.0  # px²: as if this much of the neighbours' spread spoke for equal depth
_LEAST_VARIANCE = 0.25


def depths_from_neighbours(
    xy: FloatArray, known_xy: FloatArray, known: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Guess inverse depths by those of the nearest points.

    Args:
        xy: `(N, 2)`, where they are wanted.
        known_xy: `(M, 2)`, positions with known inverse depths, M at least 1.
        known: `(M,)`, their inverse depths.

    Returns:
        `(N,)` medians and `(N,)` variances.
    """
    gaps = _squared_gaps(xy, known_xy)
    count = min(_NEIGHBOURS, len(known_xy))
    nearest = known[np.argpartition(gaps, count - 1, axis=1)[:, :count]]
    variance = 4 * nearest.var(axis=1) + np.float32(_LEAST_VARIANCE)
    return np.median(nearest, axis=1).astype(np.float32), variance.astype(np.float32)


def slopes_from_neighbours(
    xy: FloatArray, depths: FloatArray, known_xy: FloatArray, known: FloatArray
) -> FloatArray:
    """Slopes of the surfaces on which points lie: planes through each point and its neighbours.

    Least squares with robust weights, so that neighbours on another surface do not count.

    Args:
        xy: `(N, 2)`, pixels.
        depths: `(N,)`, their inverse depths.
        known_xy: `(M, 2)`, positions with known inverse depths; the points themselves may be among them.
        known: `(M,)`, their inverse depths.

    Returns:
        `(N, 2)`: change of the inverse depth per pixel along x and y.
    """
    pairs = near_pairs(xy, known_xy, 2 * _REACH_PX)
    dx, dy = (known_xy[pairs.b] - xy[pairs.a]).T
    rise = known[pairs.b] - depths[pairs.a]
    near = np.exp(-(dx * dx + dy * dy) / np.float32(2 * _REACH_PX**2))

    def total(values: FloatArray) -> NDArray[np.float64]:
        return np.bincount(pairs.a, values, minlength=len(xy)).astype(np.float64)

    weights = near / (1 + (rise / np.float32(_FIRST_SCALE)) ** 2) ** 2
    slope_x = slope_y = np.zeros(len(xy))
    for _ in range(_ITERATIONS):
        wx, wy = weights * dx, weights * dy
        xx, cross, yy = total(wx * dx) + _RIDGE, total(wx * dy), total(wy * dy) + _RIDGE
        x_rise, y_rise = total(wx * rise), total(wy * rise)
        determinant = xx * yy - cross * cross
        slope_x = (yy * x_rise - cross * y_rise) / determinant
        slope_y = (xx * y_rise - cross * x_rise) / determinant
        misfit = rise - slope_x[pairs.a] * dx - slope_y[pairs.a] * dy
        weights = near / (1 + (misfit / np.float32(_SCALE)) ** 2) ** 2
    return np.stack([slope_x, slope_y], axis=1).astype(np.float32)


def _squared_gaps(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray((a[:, None, 0] - b[None, :, 0]) ** 2 + (a[:, None, 1] - b[None, :, 1]) ** 2)
