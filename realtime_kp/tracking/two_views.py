"""Relative structure of a rigid scene from two of its views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.motion import FloatArray, GlobalMotion
from realtime_kp.tracking.parallax import UNKNOWN, carry_depths, fit_motion, observe_depths
from realtime_kp.tracking.usac import usac_fit

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MIN_POINTS = 80
_MAX_POINTS = 500
_PLANE_PX = 2.0
_EPIPOLAR_PX = 1.0
_LEAST_PARALLAX_PX = 3.0
_PARALLAX_QUANTILE = 0.8
_MIN_EPIPOLAR_SHARE = 0.75
_MIN_GAIN = 0.1
_MAX_RESIDUAL_PX = 0.5
_ALTERNATIONS = 6
_SPREAD_QUANTILE, _SPREAD_SIGMAS = 0.9, 1.645


@dataclass(frozen=True, slots=True)
class Structure:
    """Relative structure of N points.

    Attributes:
        inverse_depths: `(N,) float32`, in the later view; their standard deviation is about 1.
        variances: `(N,) float32`.
        good: `(N,) bool`: which points agree with the motion of a rigid scene.
    """

    inverse_depths: FloatArray
    variances: FloatArray
    good: Mask


def has_parallax(before: FloatArray, after: FloatArray) -> bool:
    """Whether a fifth of the points deviate from one homography by more than 3 px.

    Args:
        before: `(N, 2)`, positions in the earlier view.
        after: `(N, 2)`, positions of the same points in the later view.
    """
    if len(before) < _MIN_POINTS:
        return False
    step = max(1, len(before) // _MAX_POINTS)
    matrix, _ = _fit(cv2.findHomography, before[::step], after[::step], _PLANE_PX)
    if matrix is None:
        return False
    moved = GlobalMotion(matrix, 1.0, 1.0).apply(before[::step])
    gap = np.linalg.norm(moved - after[::step], axis=1)
    return bool(np.quantile(gap, _PARALLAX_QUANTILE) >= _LEAST_PARALLAX_PX)


def structure_from_two_views(before: FloatArray, after: FloatArray) -> Structure | None:
    """Relative structure from the fundamental matrix, refined by alternating motion and inverse depths.

    Args:
        before: `(N, 2)`, positions in the earlier view.
        after: `(N, 2)`, positions of the same points in the later view.

    Returns:
        The structure; None where a fundamental matrix does not explain clearly more points than a homography,
        so that the scene is flat, not rigid, or the camera only turned.
    """
    found = _epipolar(before, after)
    if found is None:
        return None
    motion, good = found
    unknown = np.full(len(before), UNKNOWN)
    depths, variances = observe_depths(motion, before, after, np.zeros(len(before), np.float32), unknown)
    for _ in range(_ALTERNATIONS):
        fitted = fit_motion(before[good], after[good], depths[good], motion)
        if fitted is None:
            return None
        motion = fitted
        depths, variances = observe_depths(motion, before, after, depths, unknown)
    gap = np.linalg.norm(motion.apply(before, depths) - after, axis=1)
    _, scale = motion.depth_scales(before, depths)
    good &= (gap <= _EPIPOLAR_PX) & (scale > 0)
    if good.mean() < _MIN_EPIPOLAR_SHARE or np.median(gap[good]) > _MAX_RESIDUAL_PX:
        return None
    depths, _, variances = carry_depths(motion, before, depths, np.zeros_like(before), variances)
    spread = np.float32(depth_spread(depths[good]))
    if not spread > 0:
        return None
    return Structure(depths / spread, np.minimum(variances / spread**2, UNKNOWN), good)


def depth_spread(inverse_depths: FloatArray) -> float:
    """Standard deviation of inverse depths `(N,)`, N at least 1.

    It is estimated from a high quantile: most points may lie in one plane, which says nothing of the others.
    """
    gap = np.abs(inverse_depths - np.median(inverse_depths))
    return float(np.quantile(gap, _SPREAD_QUANTILE) / _SPREAD_SIGMAS)


def _epipolar(before: FloatArray, after: FloatArray) -> tuple[GlobalMotion, Mask] | None:
    """A homography of the family that belongs to the fundamental matrix, and its epipole."""
    step = max(1, len(before) // _MAX_POINTS)
    some, there = before[::step], after[::step]
    _, plane = _fit(cv2.findHomography, some, there, _PLANE_PX)
    matrix, lines = _fit(cv2.findFundamentalMat, some, there, _EPIPOLAR_PX)
    if matrix is None or matrix.shape != (3, 3):
        return None
    if lines.mean() < _MIN_EPIPOLAR_SHARE or lines.mean() < plane.mean() + _MIN_GAIN:
        return None
    middle = some.mean(axis=0)
    scale = max(float(np.abs(some - middle).max()), 1.0)
    back = np.array([[scale, 0, middle[0]], [0, scale, middle[1]], [0, 0, 1]])
    fundamental = back.T @ matrix @ back
    epipole = np.linalg.svd(fundamental.T)[2][-1]
    x, y = (np.c_[(xy - middle) / scale, np.ones(len(xy))] for xy in (some, there))
    homography = _of_plane(np.cross(epipole, fundamental.T).T, epipole, x, y, plane & lines)
    if homography is None:
        return None
    if np.median(x @ homography[2]) < 0:
        homography = -homography
    into = np.linalg.inv(back)
    motion = GlobalMotion(back @ homography @ into, 1.0, 1.0, back @ epipole)
    return motion, _near_epipolar_lines(matrix, before, after)


def _of_plane(start: Float64, epipole: Float64, x: Float64, y: Float64, plane: Mask) -> Float64 | None:
    """Of all `start + epipole nᵀ`, the homography that maps the points of the plane best."""
    toward, along = np.cross(y[plane], x[plane] @ start.T), np.cross(y[plane], epipole)
    equations = (along[:, :, None] * x[plane][:, None, :]).reshape(-1, 3)
    if len(equations) < 9:
        return None
    normal = np.linalg.lstsq(equations, -toward.reshape(-1), rcond=None)[0]
    return np.asarray(start + np.outer(epipole, normal))


def _near_epipolar_lines(fundamental: Float64, before: FloatArray, after: FloatArray) -> Mask:
    x, y = (np.c_[xy, np.ones(len(xy))] for xy in (before, after))
    lines, back = x @ fundamental.T, y @ fundamental
    gap = np.abs((y * lines).sum(axis=1))
    length = np.sqrt((lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1))
    return np.asarray(gap <= _EPIPOLAR_PX * np.maximum(length, 1e-12))


def _fit(
    method: Callable[..., Any], before: FloatArray, after: FloatArray, threshold_px: float
) -> tuple[Float64 | None, Mask]:
    """A robust fit of OpenCV: the matrix, None where there is none, and `(N,) bool`, its inliers."""
    return usac_fit(method, before, after, threshold_px, confidence=0.999, iterations=1000)
