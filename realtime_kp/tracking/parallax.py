"""Motion of a rigid scene with depth: a homography, and parallax in proportion to each point's inverse depth.

A point at `x` with inverse depth ρ is seen in the next frame at `x' ≅ H x + ρ e`, where H is the homography
of a reference plane and e the epipole; exact for finite motion, without knowledge of the camera (Shashua and
Navab, Relative affine structure, TPAMI 1996; Hartley and Zisserman, Multiple View Geometry, 2004, section
13.3). ρ is relative: known up to a scale and a plane that all points share. It belongs to the point, so that
a point that is hidden, or outside the picture, keeps moving with the scene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens import Lens
from realtime_kp.tracking.motion import FloatArray, GlobalMotion, perspective_prior, undistorted

Float64 = NDArray[np.float64]

_MIN_POINTS = 24
_ITERATIONS = 3
_MIN_SCALE_PX = 0.3
_POSITION_SIGMA_PX = 0.12
_PARALLAX_SIGMA_PX = 20.0
_MAX_POINTS = 300
_GROWTH = 1e-5  # of the variance of an inverse depth, per frame
UNKNOWN = np.float32(1e6)
SETTLED = 0.05  # largest variance of an inverse depth that is relied on
MOVES_PX = 0.6  # mean misfit above which a track moves by itself
_LEAST_TURN = 0.5


def fit_motion(
    before: FloatArray,
    after: FloatArray,
    inverse_depths: FloatArray,
    start: GlobalMotion | None = None,
    lens: Lens | None = None,
) -> GlobalMotion | None:
    """Fit homography and epipole by least squares with robust weights (Cauchy's, squared).

    Args:
        before: `(N, 2)`, positions in the earlier frame.
        after: `(N, 2)`, positions of the same points in the later frame.
        inverse_depths: `(N,)`, relative inverse depths in the earlier frame.
        start: Motion whose residuals give the first weights; None starts with equal ones.
        lens: The lens through which both were seen.

    Returns:
        The motion; None where there are fewer than 24 points, or they do not determine it.
    """
    if len(before) < _MIN_POINTS:
        return None
    step = max(1, len(before) // _MAX_POINTS)
    before, after = undistorted(lens, before[::step], after[::step])
    inverse_depths = inverse_depths[::step]
    equations = _Equations(before, after, inverse_depths)
    weights, motion = np.ones(len(before)), None if start is None else start.undistorted
    for number in range(_ITERATIONS + 1):
        if motion is not None:
            gap = np.linalg.norm(motion.apply(before, inverse_depths) - after, axis=1)
            scale = max(_MIN_SCALE_PX, 1.5 * float(np.median(gap)))
            weights = (1 + (gap / scale) ** 2) ** -2.0
        if number == _ITERATIONS:
            break
        try:
            homography, epipole = equations.solve(weights)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(homography).all() or not np.isfinite(epipole).all():
            return None
        motion = GlobalMotion(homography, 1.0, 1.0, epipole)
    near = gap <= 2 * scale
    return GlobalMotion(homography, float(1.4826 * np.median(gap)), float(near.mean()), epipole, lens)


class _Equations:
    """Direct linear transform with h33 = 1 and Gaussian priors on perspective and epipole."""

    def __init__(self, before: FloatArray, after: FloatArray, inverse_depths: FloatArray) -> None:
        self._middle = before.mean(axis=0)
        self._scale = max(float(np.abs(before - self._middle).max()), 1.0)
        (x, y), (u, v) = (((xy - self._middle) / self._scale).T.astype(np.float64) for xy in (before, after))
        rows = np.zeros((2, len(x), 11))
        for row in rows:
            row[:, 6:8] = np.stack([x, y], axis=1)
            row[:, 10] = inverse_depths
        rows[0, :, 6:] *= -u[:, None]
        rows[1, :, 6:] *= -v[:, None]
        for number, row in enumerate(rows):
            row[:, 3 * number : 3 * number + 3] = np.stack([x, y, np.ones(len(x))], axis=1)
            row[:, 8 + number] = inverse_depths
        self._rows, self._values = rows.reshape(-1, 11), np.concatenate([u, v])
        prior = np.zeros(11)
        prior[6:8] = perspective_prior(self._scale)
        prior[8:] = _POSITION_SIGMA_PX / _PARALLAX_SIGMA_PX
        self._prior = np.diag(prior**2)

    def solve(self, weights: Float64) -> tuple[Float64, Float64]:
        """Homography and epipole for weights `(N,)` of the points."""
        weighted = self._rows.T * np.concatenate([weights, weights])
        solution = np.linalg.solve(weighted @ self._rows + self._prior, weighted @ self._values)
        scale, (x, y) = self._scale, self._middle
        back = np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])
        homography = back @ np.append(solution[:8], 1.0).reshape(3, 3) @ np.linalg.inv(back)
        return homography, back @ solution[8:]


def observe_depths(
    motion: GlobalMotion,
    before: FloatArray,
    after: FloatArray,
    inverse_depths: FloatArray,
    variances: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Update inverse depths by a Kalman filter with the positions of one more frame.

    Args:
        motion: From the earlier to the later frame.
        before: `(N, 2)`, positions in the earlier frame.
        after: `(N, 2)`, positions in the later frame.
        inverse_depths: `(N,)`, in the earlier frame.
        variances: `(N,)`, their variances.

    Returns:
        `(N,)` inverse depths in the earlier frame, `(N,)` variances.
    """
    if motion.epipole is None:
        return inverse_depths, variances
    before, after = undistorted(motion.lens, before, after)
    motion = motion.undistorted
    lines = motion.parallax(before, after, inverse_depths)
    residual = after - motion.apply(before, inverse_depths)
    known = (lines * lines).sum(axis=1)
    noise = np.float32(_POSITION_SIGMA_PX**2)
    gain = variances / (known * variances + noise)
    moved = inverse_depths + gain * (lines * residual).sum(axis=1)
    return moved.astype(np.float32), (gain * noise).astype(np.float32)


def carry_depths(
    motion: GlobalMotion,
    xy: FloatArray,
    inverse_depths: FloatArray,
    slopes: FloatArray,
    variances: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Inverse depths, their slopes and variances in the later frame, from those in the earlier one.

    A surface with `ρ = n · (x, y, 1)` moves by the homography `H + e nᵀ`, which turns n into
    `H⁻ᵀ n / (1 + e · H⁻ᵀ n)`.

    Args:
        motion: From the earlier to the later frame.
        xy: `(N, 2)`, positions in the earlier frame.
        inverse_depths: `(N,)`.
        slopes: `(N, 2)`, change of the inverse depth per undistorted pixel along x and y, on the surface of
            the point.
        variances: `(N,)`.

    Returns:
        `(N,)` inverse depths, `(N, 2)` slopes and `(N,)` variances in the later frame.
    """
    if motion.epipole is None:
        return inverse_depths, slopes, variances
    (xy,) = undistorted(motion.lens, xy)
    plane, scale = motion.depth_scales(xy, inverse_depths)
    carried = variances * (plane / (scale * scale)) ** 2 * (1 + _GROWTH) + np.float32(_GROWTH)
    constant = inverse_depths - (slopes * xy).sum(axis=1)
    normals = np.concatenate([slopes, constant[:, None]], axis=1) @ np.linalg.inv(motion.matrix)
    turn = (1 + normals @ motion.epipole)[:, None]
    # A surface that turns edge-on tells nothing more: kept, its slopes would double with every frame.
    turned = np.where(turn >= _LEAST_TURN, normals[:, :2] / np.maximum(turn, _LEAST_TURN), 0)
    return (
        (inverse_depths / scale).astype(np.float32),
        turned.astype(np.float32),
        np.minimum(carried, UNKNOWN).astype(np.float32),
    )
