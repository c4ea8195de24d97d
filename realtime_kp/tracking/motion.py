"""How the whole picture moved between two frames, robustly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_MIN_PAIRS = 8
_HOMOGRAPHY_INLIERS = 24
_INLIER_PX = 3.0


@dataclass(frozen=True, slots=True)
class GlobalMotion:
    """A homography from one frame to another.

    Attributes:
        matrix: `(3, 3) float64`.
        spread_px: Typical distance of an inlier from where the homography puts it.
        inlier_share: Share of the pairs that follow it.
    """

    matrix: NDArray[np.float64]
    spread_px: float
    inlier_share: float

    def apply(self, xy: FloatArray) -> FloatArray:
        """Move `(N, 2)` places."""
        return warp(self.matrix, xy)


def warp(matrix: NDArray[np.float64], xy: FloatArray) -> FloatArray:
    """Apply a `(3, 3)` homography to `(N, 2)` places; a place at infinity stays where it is."""
    mapped = xy @ matrix[:, :2].T + matrix[:, 2]
    depth = mapped[:, 2:]
    sound = np.abs(depth) > 1e-6
    return np.where(sound, mapped[:, :2] / np.where(sound, depth, 1), xy).astype(np.float32)


def estimate_motion(before: FloatArray, after: FloatArray, seed: int = 0) -> GlobalMotion | None:
    """Fit the motion that most pairs share: a homography, or an affine map where pairs are few.

    Args:
        before: `(N, 2)` places in the earlier frame.
        after: `(N, 2)` places of the same points in the later frame.
        seed: Of the random samples; equal seeds give equal results.

    Returns:
        The motion, or None where the pairs do not agree on one.
    """
    if len(before) < _MIN_PAIRS:
        return None
    matrix, inliers = _affine(before, after)
    if matrix is None:
        return None
    if inliers.sum() >= _HOMOGRAPHY_INLIERS:
        wider, wider_inliers = _homography(before, after, seed)
        if (
            wider is not None
            and wider_inliers.sum() > inliers.sum()
            and _plausible(wider, after[wider_inliers])
        ):
            matrix, inliers = wider, wider_inliers
    if inliers.sum() < _MIN_PAIRS:
        return None
    residual = np.linalg.norm(warp(matrix, before[inliers]) - after[inliers], axis=1)
    return GlobalMotion(matrix, float(1.4826 * np.median(residual)), float(inliers.mean()))


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
    params = cv2.UsacParams()
    params.randomGeneratorState = seed
    params.threshold = _INLIER_PX
    params.confidence = 0.99
    params.maxIterations = 500
    params.sampler = cv2.SAMPLING_UNIFORM
    params.score = cv2.SCORE_METHOD_MAGSAC
    found, mask = cv2.findHomography(before, after, params)
    if found is None or not np.isfinite(found).all():
        return None, np.zeros(len(before), np.bool_)
    return np.asarray(found, np.float64), mask.ravel().astype(np.bool_)


def _plausible(matrix: NDArray[np.float64], near: FloatArray) -> bool:
    """Between frames of a video nothing is mirrored, or grows or shrinks fourfold."""
    if len(near) == 0:
        return False
    linear = matrix[:2, :2] - np.outer(near.mean(axis=0), matrix[2, :2])
    determinant = float(np.linalg.det(linear))
    return 1 / 16 < determinant < 16
