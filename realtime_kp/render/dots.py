"""Drawing of many small discs or rings by one indexed assignment, instead of one OpenCV call each."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_PHASES = 4  # each way, between one pixel and the next
_FARTHEST = 2**20


def draw_dots(
    image: NDArray[np.uint8],
    xy: NDArray[np.float32],
    colours: NDArray[np.uint8],
    radius_px: float,
    thickness_px: int | None = None,
) -> None:
    """Draw discs or rings onto `image`; later ones cover earlier ones, and they are clipped at the edges.

    Args:
        image: `(H, W, 3)`.
        xy: `(N, 2)`, centres, pixels.
        colours: `(N, 3)`, BGR.
        radius_px: Radius.
        thickness_px: Line width of rings; None draws discs.
    """
    stamps = _stamps(round(radius_px * (1 << _SHIFT)), thickness_px)
    steps = np.floor(np.clip(xy, -_FARTHEST, _FARTHEST) * _PHASES + 0.5).astype(np.int32)
    phase = steps % _PHASES
    pixels = (steps // _PHASES)[:, None] + stamps[phase[:, 1] * _PHASES + phase[:, 0]]
    x, y = pixels[..., 0], pixels[..., 1]
    height, width = image.shape[:2]
    dot, pixel = np.nonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
    image[y[dot, pixel], x[dot, pixel]] = colours[dot]


@lru_cache(maxsize=16)
def _stamps(radius: int, thickness_px: int | None) -> NDArray[np.int32]:
    """`(PHASES², P, 2)`: pixel offsets (x, y) of a dot for each sub-pixel phase, as OpenCV draws it.

    Dots with fewer pixels repeat their last one.
    """
    reach = (radius >> _SHIFT) + (thickness_px or 0) + 2
    found = []
    for phase in range(_PHASES * _PHASES):
        canvas = np.zeros((2 * reach + 2, 2 * reach + 2), np.uint8)
        centre = [
            (reach << _SHIFT) + (part << _SHIFT) // _PHASES for part in (phase % _PHASES, phase // _PHASES)
        ]
        cv2.circle(canvas, centre, radius, 255, thickness_px or cv2.FILLED, cv2.LINE_8, _SHIFT)
        found.append(np.argwhere(canvas)[:, ::-1] - reach)
    most = max(len(pixels) for pixels in found)
    return np.array([np.pad(p, ((0, most - len(p)), (0, 0)), "edge") for p in found], np.int32)
