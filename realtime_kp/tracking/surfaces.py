"""Surfaces around points, from the inverse depths of their neighbours."""

from __future__ import annotations

import numpy as np

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
    near = np.exp(-_squared_gaps(xy, known_xy) / np.float32(2 * _REACH_PX**2))
    dx, dy = known_xy[:, 0] - xy[:, :1], known_xy[:, 1] - xy[:, 1:]
    rise = known - depths[:, None]
    weights = near / (1 + (rise / np.float32(_FIRST_SCALE)) ** 2) ** 2
    for _ in range(_ITERATIONS):
        wx, wy = weights * dx, weights * dy
        xx, xy_, yy = ((a * b).sum(axis=1) for a, b in ((wx, dx), (wx, dy), (wy, dy)))
        xr, yr = (wx * rise).sum(axis=1), (wy * rise).sum(axis=1)
        ridge = np.float32(_RIDGE)
        xx, yy = xx + ridge, yy + ridge
        determinant = xx * yy - xy_ * xy_
        slope_x = (yy * xr - xy_ * yr) / determinant
        slope_y = (xx * yr - xy_ * xr) / determinant
        misfit = rise - slope_x[:, None] * dx - slope_y[:, None] * dy
        weights = near / (1 + (misfit / np.float32(_SCALE)) ** 2) ** 2
    return np.stack([slope_x, slope_y], axis=1).astype(np.float32)


def _squared_gaps(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray((a[:, None, 0] - b[None, :, 0]) ** 2 + (a[:, None, 1] - b[None, :, 1]) ** 2)
