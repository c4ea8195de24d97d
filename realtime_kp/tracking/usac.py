"""Robust fits of OpenCV's USAC framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def usac_fit(
    method: Callable[..., Any],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    threshold_px: float,
    *,
    confidence: float,
    iterations: int,
    seed: int = 0,
    attempts: int = 4,
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """Fit a model to pairs of positions by MAGSAC.

    Args:
        method: `cv2.findHomography` or `cv2.findFundamentalMat`.
        before: `(N, 2)`, positions in the earlier frame.
        after: `(N, 2)`, positions of the same points in the later frame.
        threshold_px: Largest residual of an inlier.
        confidence: Wanted probability that the best model is among the samples.
        iterations: Largest number of samples.
        seed: Seed of the samples; equal seeds give equal results.
        attempts: How often to begin anew where a degenerate sample ends OpenCV's search, as most
            searches can end where the points lie on few planes.

    Returns:
        The matrix, None where there is none, and `(N,) bool`, its inliers.
    """
    params = cv2.UsacParams()
    params.threshold = threshold_px
    params.confidence = confidence
    params.maxIterations = iterations
    params.sampler = cv2.SAMPLING_UNIFORM
    params.score = cv2.SCORE_METHOD_MAGSAC
    matrix = None
    for attempt in range(attempts):
        params.randomGeneratorState = seed + attempt
        try:
            matrix, inliers = method(before, after, params)
            break
        except cv2.error:  # a degenerate sample ends OpenCV's search: other samples need not be degenerate
            continue
    if matrix is None or not np.isfinite(matrix).all():
        return None, np.zeros(len(before), np.bool_)
    return np.asarray(matrix, np.float64), np.asarray(inliers.ravel() > 0)
