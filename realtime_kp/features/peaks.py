"""Keypoints in a heat map on a CPU: what `decode` does on a GPU, by OpenCV and only where something is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.features.suppression import ROUNDS

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

REFINE_REACH_PX = 2


def find_peaks(
    heat: FloatArray, *, count: int, radius: int, border: int, threshold: float, subpixel: bool
) -> tuple[FloatArray, FloatArray]:
    """The highest survivors of non-maximum suppression.

    Args:
        heat: `(H, W) float32`, 0 or more.
        count: How many at the most.
        radius: Of the suppression, pixels.
        border: How far from the edges they must lie, pixels.
        threshold: What scores no more, or 0, is left out.
        subpixel: Move each to the centre of mass around it.

    Returns:
        `(N, 2) float32` places (x, y) and `(N,)` scores, best first.
    """
    height, width = heat.shape
    places = _survivors(heat, radius, max(threshold, 0.0))
    y, x = np.divmod(places, width)
    inside = (x >= border) & (x < width - border) & (y >= border) & (y < height - border)
    x, y, scores = x[inside], y[inside], heat.reshape(-1)[places[inside]]
    best = np.argsort(-scores, kind="stable")
    best = best[_one_of_each_tie(x[best], y[best], radius)][:count]
    x, y = x[best], y[best]
    xy = np.stack([x, y], axis=1).astype(np.float32)
    return (xy + _off_centre(heat, x, y) if subpixel else xy), scores[best]


def _survivors(heat: FloatArray, radius: int, threshold: float) -> IntArray:
    """Flat places of what `non_maximum_suppression` leaves above the threshold.

    What lies below it suppresses nothing above it, so the rounds after the first look at the rest above only.
    """
    above = cv2.compare(heat, threshold, cv2.CMP_GT)
    kept = above
    if radius > 0:
        window = np.ones((2 * radius + 1,) * 2, np.uint8)
        kept = cv2.bitwise_and(above, cv2.compare(heat, cv2.dilate(heat, window), cv2.CMP_EQ))
        for _ in range(ROUNDS):
            above = cv2.subtract(above, cv2.dilate(kept, window))
            rest = cv2.copyTo(heat, above)
            again = cv2.compare(rest, cv2.dilate(rest, window), cv2.CMP_EQ)
            kept = cv2.bitwise_or(kept, cv2.bitwise_and(again, above))
    return np.flatnonzero((np.asarray(kept) & 1).view(np.bool_))


def _one_of_each_tie(x: IntArray, y: IntArray, radius: int) -> IntArray:
    """Rows, ascending, without those that share a block of r + 1 pixels with an earlier one.

    Survivors lie more than r apart, exact ties aside, which half precision knows: of those one is enough.
    """
    block = block_px(radius)
    if block == 1:
        return np.arange(len(x))
    return np.sort(np.unique((y // block << 32) + x // block, return_index=True)[1])


def block_px(radius: int) -> int:
    """The largest block that divides a cell and holds no more than one survivor of a suppression."""
    return next(b for b in (8, 4, 2, 1) if b <= radius + 1)


def _off_centre(heat: FloatArray, x: IntArray, y: IntArray) -> FloatArray:
    """`(N, 2)`, from pixels to the centre of mass of the 5×5 around each (soft-argmax of the heat map)."""
    reach = REFINE_REACH_PX
    side = 2 * reach + 1
    if len(x) and min(x.min(), y.min(), heat.shape[1] - 1 - x.max(), heat.shape[0] - 1 - y.max()) < reach:
        heat, x, y = np.pad(heat, reach), x + reach, y + reach
    around = np.lib.stride_tricks.sliding_window_view(heat, (side, side))[y - reach, x - reach]
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    moments = np.stack([np.ones(side * side), np.tile(steps, side), np.repeat(steps, side)], axis=1)
    total, right, down = (around.reshape(-1, side * side) @ moments.astype(np.float32)).T
    return np.asarray(np.stack([right, down], axis=1) / np.maximum(total, 1e-12)[:, None], np.float32)
