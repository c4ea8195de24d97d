"""Robust estimation of the global motion between two frames: a homography, or an affine map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens import Lens
from realtime_kp.tracking.usac import usac_fit

FloatArray = NDArray[np.float32]

_MIN_PAIRS = 8
_HOMOGRAPHY_INLIERS = 24
_CLEAR_SHARE = 0.6
_INLIER_PX = 3.0
_REFIT_POINTS = 250
_POSITION_SIGMA_PX = 0.1
_PERSPECTIVE_SIGMA = 2e-5  # of h31 and h32 between two frames, per pixel
_LEAST_SCALE = 0.5


@dataclass(frozen=True, slots=True)
class GlobalMotion:
    """The motion of the scene from one frame to another: a homography, and parallax where depth is known.

    Attributes:
        matrix: `(3, 3) float64`, homography.
        spread_px: Robust standard deviation of the residuals of the inliers.
        inlier_share: Share of the pairs that are inliers.
        epipole: `(3,) float64`, homogeneous pixels, by which a point moves per unit of inverse depth; None
            where the scene is taken for flat. See `realtime_kp.tracking.parallax`.
        lens: Homography and epipole are those of the undistorted pixels of this lens, while positions that
            are mapped are pixels of the source. None where both are the same.
    """

    matrix: NDArray[np.float64]
    spread_px: float
    inlier_share: float
    epipole: NDArray[np.float64] | None = None
    lens: Lens | None = None

    @property
    def undistorted(self) -> GlobalMotion:
        """The same motion of undistorted pixels."""
        return self if self.lens is None else replace(self, lens=None)

    def apply(self, xy: FloatArray, inverse_depths: FloatArray | None = None) -> FloatArray:
        """Map positions `(N, 2)` with inverse depths `(N,)` to the other frame."""
        if self.lens is not None:
            there = self.undistorted.apply(self.lens.undistort(xy), inverse_depths)
            return self.lens.distort(there)
        if self.epipole is None or inverse_depths is None:
            return warp(self.matrix, xy)
        mapped = xy @ self.matrix[:2, :2].T + self.matrix[:2, 2] + inverse_depths[:, None] * self.epipole[:2]
        _, scale = self.depth_scales(xy, inverse_depths)
        return np.asarray(mapped / scale[:, None], np.float32)

    def jacobian(
        self, xy: FloatArray, inverse_depths: FloatArray | None = None, slopes: FloatArray | None = None
    ) -> FloatArray:
        """Jacobians of the map.

        Args:
            xy: `(N, 2)`, positions.
            inverse_depths: `(N,)`; None for a flat scene.
            slopes: `(N, 2)`, change of the inverse depth per undistorted pixel on the surface; None for none.

        Returns:
            `(N, 2, 2)`.
        """
        if self.lens is not None:
            return self._through_lens(self.lens, xy, inverse_depths, slopes)
        m, e = self.matrix, self.epipole
        if e is not None and inverse_depths is not None:
            there, (_, depth) = self.apply(xy, inverse_depths), self.depth_scales(xy, inverse_depths)
            linear = m[:2, :2] - there[:, :, None] * m[2, :2]
            if slopes is not None:
                linear = linear + (e[:2] - there * e[2])[:, :, None] * slopes[:, None, :]
            return np.asarray(linear / depth[:, None, None], np.float32)
        depth = xy @ m[2, :2] + m[2, 2]
        depth = np.where(np.abs(depth) > 1e-6, depth, 1)
        mapped = (xy @ m[:2, :2].T + m[:2, 2]) / depth[:, None]
        return np.asarray((m[:2, :2] - mapped[:, :, None] * m[2, :2]) / depth[:, None, None], np.float32)

    def _through_lens(
        self, lens: Lens, xy: FloatArray, inverse_depths: FloatArray | None, slopes: FloatArray | None
    ) -> FloatArray:
        # Beyond the range of the model its derivatives grow without limit, and so would maps of patches that
        # are carried on for long.
        straight, motion = lens.in_range(lens.undistort(xy)), self.undistorted
        there = lens.in_range(motion.apply(straight, inverse_depths))
        inner = motion.jacobian(straight, inverse_depths, slopes)
        through = lens.distortion_jacobian(there) @ inner @ lens.undistortion_jacobian(straight)
        return np.asarray(through, np.float32)

    def depth_scales(self, xy: FloatArray, inverse_depths: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How depths change: `(N,)` on the reference plane, and `(N,)` at the points, at least 0.5.

        Positions `(N, 2)` are undistorted, here and in `parallax`.
        """
        plane = xy @ self.matrix[2, :2] + self.matrix[2, 2]
        rise = 0.0 if self.epipole is None else inverse_depths * self.epipole[2]
        return np.asarray(plane, np.float32), np.maximum(plane + rise, _LEAST_SCALE).astype(np.float32)

    def parallax(self, xy: FloatArray, there: FloatArray, inverse_depths: FloatArray) -> FloatArray:
        """`(N, 2)`: how far positions in the other frame move per unit of inverse depth, pixels."""
        if self.epipole is None:
            return np.zeros_like(there)
        _, scale = self.depth_scales(xy, inverse_depths)
        return np.asarray((self.epipole[:2] - there * self.epipole[2]) / scale[:, None], np.float32)


STILL = GlobalMotion(np.eye(3), 1.0, 1.0)


def warp(matrix: NDArray[np.float64], xy: FloatArray) -> FloatArray:
    """Apply a `(3, 3)` homography to positions `(N, 2)`; one that maps to infinity is returned unchanged."""
    mapped = xy @ matrix[:, :2].T + matrix[:, 2]
    depth = mapped[:, 2:]
    sound = np.abs(depth) > 1e-6
    return np.where(sound, mapped[:, :2] / np.where(sound, depth, 1), xy).astype(np.float32)


def undistorted(lens: Lens | None, *positions: FloatArray) -> tuple[FloatArray, ...]:
    """Undistorted pixels of several sets of positions `(N, 2)`; as they are without a lens."""
    return positions if lens is None else tuple(lens.undistort(xy) for xy in positions)


def estimate_motion(
    before: FloatArray, after: FloatArray, seed: int = 0, lens: Lens | None = None
) -> GlobalMotion | None:
    """Fit the motion that most pairs agree on: a homography (MAGSAC), or an affine map where few agree.

    Args:
        before: `(N, 2)`, positions in the earlier frame.
        after: `(N, 2)`, positions of the same points in the later frame.
        seed: Seed of the random samples; equal seeds give equal results.
        lens: The lens through which both were seen.

    Returns:
        The motion, or None where the pairs do not agree on one.
    """
    if len(before) < _MIN_PAIRS:
        return None
    before, after = undistorted(lens, before, after)
    matrix, inliers = _homography(before, after, seed)
    if matrix is None or inliers.sum() < max(_HOMOGRAPHY_INLIERS, _CLEAR_SHARE * len(before)):
        # With few inliers, the six parameters of an affine map are better determined than eight.
        simpler, simpler_inliers = _affine(before, after)
        if simpler is not None and (matrix is None or simpler_inliers.sum() >= inliers.sum() - _MIN_PAIRS):
            matrix, inliers = simpler, simpler_inliers
    if matrix is None or inliers.sum() < _MIN_PAIRS:
        return None
    residual = np.linalg.norm(warp(matrix, before[inliers]) - after[inliers], axis=1)
    return GlobalMotion(matrix, float(1.4826 * np.median(residual)), float(inliers.mean()), lens=lens)


def refit(motion: GlobalMotion, before: FloatArray, after: FloatArray) -> GlobalMotion:
    """Refine a motion by least squares on accurate positions with few outliers.

    Where the positions cover only a part of the frame, an unconstrained homography extrapolates badly; a
    prior keeps its two perspective parameters near zero as far as the positions do not determine them.

    Args:
        motion: The initial estimate.
        before: `(N, 2)`, positions in the earlier frame.
        after: `(N, 2)`, positions of the same points in the later frame.
    """
    before, after = undistorted(motion.lens, before, after)
    inliers = np.linalg.norm(motion.undistorted.apply(before) - after, axis=1) <= max(
        1.0, 3 * motion.spread_px
    )
    rows = np.flatnonzero(inliers)
    if len(rows) < _HOMOGRAPHY_INLIERS:
        return motion
    rows = rows[:: max(1, len(rows) // _REFIT_POINTS)]
    try:
        matrix = _least_squares_homography(before[rows].astype(np.float64), after[rows].astype(np.float64))
    except np.linalg.LinAlgError:  # all positions on one line
        return motion
    if not np.isfinite(matrix).all() or not _plausible(matrix, after[rows]):
        return motion
    return GlobalMotion(matrix, motion.spread_px, motion.inlier_share, lens=motion.lens)


def _least_squares_homography(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direct linear transform with h33 = 1 and a Gaussian prior on h31 and h32; both arguments `(N, 2)`."""
    middle = before.mean(axis=0)
    scale = max(float(np.abs(before - middle).max()), 1.0)
    (x, y), (u, v) = ((before - middle) / scale).T, ((after - middle) / scale).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    equations = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1),
            np.eye(2, 8, k=6) * perspective_prior(scale),
        ]
    )
    values = np.concatenate([u, v, np.zeros(2)])
    solution = np.linalg.solve(equations.T @ equations, equations.T @ values)
    normalised = np.append(solution, 1.0).reshape(3, 3)
    into = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, scale]]) / scale
    matrix = np.linalg.inv(into) @ normalised @ into
    return np.asarray(matrix / matrix[2, 2])


def perspective_prior(scale_px: float) -> float:
    """Weight of a zero for h31 and h32 in positions divided by `scale_px`, relative to that of a position."""
    return (_POSITION_SIGMA_PX / scale_px) / (_PERSPECTIVE_SIGMA * scale_px)


def _affine(before: FloatArray, after: FloatArray) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    found, mask = cv2.estimateAffine2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=_INLIER_PX, maxIters=500, confidence=0.99
    )
    if found is None or not np.isfinite(found).all():
        return None, np.zeros(len(before), np.bool_)
    matrix = np.vstack([found, [0.0, 0.0, 1.0]])
    inliers = mask.ravel().astype(np.bool_)
    return (matrix, inliers) if _plausible(matrix, after[inliers]) else (None, inliers)


def _homography(
    before: FloatArray, after: FloatArray, seed: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    found, inliers = usac_fit(
        cv2.findHomography, before, after, _INLIER_PX, confidence=0.99, iterations=500, seed=seed
    )
    plausible = found is not None and _plausible(found, after[inliers])
    return (found if plausible else None), inliers


def _plausible(matrix: NDArray[np.float64], near: FloatArray) -> bool:
    """Whether scale changes by less than a factor of four and nothing is mirrored."""
    if len(near) == 0:
        return False
    linear = matrix[:2, :2] - np.outer(near.mean(axis=0), matrix[2, :2])
    determinant = float(np.linalg.det(linear))
    return 1 / 16 < determinant < 16
