"""Pyramidal Lucas–Kanade optical flow with a forward-backward check."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Grey = NDArray[np.uint8]

_WINDOW_PX = 21
_COARSE_WINDOW_PX = 15
_LEVELS = 3
_MAX_BACKWARD_ERROR_PX = 1.0
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.02)


def match_brightness(image: Grey, like: Grey) -> Grey:
    """`image` with the mean and the contrast of `like`.

    Lucas–Kanade assumes that the brightness of a point is constant.
    """
    (mean,), (spread,) = (m.ravel() for m in cv2.meanStdDev(image))
    (to_mean,), (to_spread,) = (m.ravel() for m in cv2.meanStdDev(like))
    gain = float(to_spread / max(spread, 1e-3))
    if abs(gain - 1) < 0.02 and abs(to_mean - mean) < 1:
        return image
    table = np.clip((np.arange(256) - mean) * gain + to_mean, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def follow(
    before: Grey, after: Grey, xy: FloatArray, guess_xy: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Follow points by pyramidal Lucas–Kanade, forwards and backwards.

    Bouguet, Pyramidal Implementation of the Lucas Kanade Feature Tracker, 2001; forward–backward error by
    Kalal et al., Forward-Backward Error: Automatic Detection of Tracking Failures, ICPR 2010.

    Args:
        before: `(H, W) uint8`.
        after: `(H, W) uint8`.
        xy: `(N, 2) float32`, positions in `before`.
        guess_xy: `(N, 2) float32`, initial positions in `after`.

    Returns:
        `(N, 2) float32` positions in `after`, and `(N,) bool`: found, inside the image, and within 1 px of
        the start when followed backwards.
    """
    if len(xy) == 0:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.bool_)
    there, found = _flow(before, after, xy, guess_xy, _WINDOW_PX)
    back, found_back = _flow(after, before, there, there - (guess_xy - xy), _WINDOW_PX)
    height, width = after.shape
    good = found & found_back & (there >= 0).all(axis=1) & (there <= (width - 1, height - 1)).all(axis=1)
    good &= ((back - xy) ** 2).sum(axis=1) <= _MAX_BACKWARD_ERROR_PX * _MAX_BACKWARD_ERROR_PX
    return there, good


def coarse_flow(
    before: Grey, after: Grey, xy: FloatArray, guess_xy: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Follow points in half the time and without the backward check, for robust fits that tolerate outliers.

    Arguments and results are those of `follow`.
    """
    if len(xy) == 0:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.bool_)
    return _flow(before, after, xy, guess_xy, _COARSE_WINDOW_PX)


def _flow(
    before: Grey, after: Grey, xy: FloatArray, guess_xy: FloatArray, window_px: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        np.ascontiguousarray(xy),
        np.array(guess_xy, np.float32),
        winSize=(window_px, window_px),
        maxLevel=_LEVELS,
        criteria=_STOP,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return there, found.ravel() == 1
