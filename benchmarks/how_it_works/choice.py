"""What of a frame is shown, and how bright."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]
Image = NDArray[np.uint8]

_BRIGHTNESS = 0.75


def spread(xy: FloatArray, ranks: NDArray[np.floating], least_px: float) -> IntArray:
    """Rows of positions no two of which are closer than `least_px`; those with higher ranks go first."""
    chosen: list[int] = []
    for row in np.argsort(-ranks, kind="stable").tolist():
        if all(np.linalg.norm(xy[row] - xy[other]) >= least_px for other in chosen):
            chosen.append(row)
    return np.array(chosen, np.intp)


def best_part(
    xy: FloatArray,
    score: Callable[[IntArray], float],
    view_wh: tuple[float, float],
    frame_wh: tuple[int, int],
) -> tuple[float, float]:
    """Middle of the part of a frame, of a size in its pixels, whose rows of positions have the best score."""
    half = np.array(view_wh) / 2
    xs, ys = (np.arange(reach, side - reach, 8.0) for reach, side in zip(half, frame_wh, strict=True))
    places = [(float(x), float(y)) for y in ys for x in xs]
    scores = [score(np.flatnonzero((np.abs(xy - place) <= half).all(axis=1))) for place in places]
    return places[int(np.argmax(scores))]


def dimmed(image: Image) -> Image:
    """A darker picture, on which drawings are seen better."""
    return np.asarray(image * _BRIGHTNESS, np.uint8)
