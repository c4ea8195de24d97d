"""Drawing of trails."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_FIXED = 1 << _SHIFT
_FARTHEST = 2**26  # OpenCV's fixed point must not overflow
# Shares of a trail, the oldest first, and how much of their colour is seen.
_FADING = ((0.4, 0.3), (0.3, 0.55), (0.3, 1.0))


def draw_trails(
    image: NDArray[np.uint8],
    trails_xy: NDArray[np.float32],
    numbers: NDArray[np.intp],
    palette: NDArray[np.uint8],
    width_px: int,
    *,
    fade: bool,
) -> None:
    """Draw trails onto an image.

    Args:
        image: `(H, W, 3)`.
        trails_xy: `(N, L, 2)`, positions, the newest last; NaN where there is none. A gap means that the
            track was lost: no line crosses it.
        numbers: `(N,)`, the colour of each in the palette.
        palette: `(K, 3)`, BGR.
        width_px: Width of the lines.
        fade: Whether older parts are fainter.
    """
    length = trails_xy.shape[1]
    known = np.logical_and.accumulate(~np.isnan(trails_xy[:, ::-1, 0]), axis=1).sum(axis=1)
    points = np.clip(np.rint(np.nan_to_num(trails_xy) * _FIXED), -_FARTHEST, _FARTHEST).astype(np.int32)
    order = np.argsort(numbers, kind="stable")
    order = order[known[order] > 1]
    first = 0.0
    for share, strength in _FADING if fade else ((1.0, 1.0),):
        begin, end = round(first * (length - 1)), round((first + share) * (length - 1))
        first += share
        layer = image if strength == 1 else image.copy()
        if _draw_part(layer, points, known, numbers, palette, order, (begin, end), width_px) and strength < 1:
            cv2.addWeighted(layer, strength, image, 1 - strength, 0, image)


def _draw_part(
    image: NDArray[np.uint8],
    points: NDArray[np.int32],
    known: NDArray[np.intp],
    numbers: NDArray[np.intp],
    palette: NDArray[np.uint8],
    order: NDArray[np.intp],
    part: tuple[int, int],
    width_px: int,
) -> bool:
    """Draw a part of all trails, from one position to another; whether there was any."""
    begin, end = part
    starts = np.maximum(begin, points.shape[1] - known)
    rows = order[starts[order] < end]
    lines = [
        points[row, start : end + 1] for row, start in zip(rows.tolist(), starts[rows].tolist(), strict=True)
    ]
    changes = [0, *(np.flatnonzero(np.diff(numbers[rows])) + 1).tolist(), len(rows)]
    for first, last in pairwise(changes):
        if last > first:
            colour = palette[numbers[rows[first]]].tolist()
            cv2.polylines(image, lines[first:last], False, colour, width_px, cv2.LINE_AA, _SHIFT)
    return len(rows) > 0
