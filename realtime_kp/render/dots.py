"""Drawing of many small discs or rings by one indexed assignment, instead of one OpenCV call each."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_PHASE_BITS = 2
_PHASES = 1 << _PHASE_BITS  # each way, between one pixel and the next
_FARTHEST = 2**20


def draw_dots(
    image: NDArray[np.uint8],
    xy: NDArray[np.float32],
    colours: NDArray[np.uint8],
    radius_px: float,
    thickness_px: int | None = None,
) -> None:
    """Draw smooth discs or rings onto `image`; later ones cover earlier ones, and edges clip them.

    Args:
        image: `(H, W, 3)`.
        xy: `(N, 2)`, centres, pixels.
        colours: `(N, 3)`, BGR.
        radius_px: Radius.
        thickness_px: Line width of rings; None draws discs.
    """
    if not image.flags.c_contiguous:  # a part of another one: its pixels have no simple numbers
        part = image.copy()
        draw_dots(part, xy, colours, radius_px, thickness_px)
        image[:] = part
        return
    stamps, weights = _stamps(round(radius_px * (1 << _SHIFT)), thickness_px)
    steps = np.floor(np.clip(xy, -_FARTHEST, _FARTHEST) * _PHASES + 0.5).astype(np.int32)
    cells, phase = steps >> _PHASE_BITS, steps & (_PHASES - 1)
    kind = phase[:, 1] * _PHASES + phase[:, 0]
    height, width = image.shape[:2]
    reach = int(np.abs(stamps).max())
    inside = ((cells >= reach) & (cells < np.array([width, height]) - reach)).all(axis=1)
    offsets = stamps[..., 1] * width + stamps[..., 0]
    places = (cells[inside, 1] * width + cells[inside, 0])[:, None] + offsets[kind[inside]]
    _blend(image, places, colours[inside][:, None], weights[kind[inside]])
    if not inside.all():
        cut = np.flatnonzero(~inside)
        pixels = cells[cut, None] + stamps[kind[cut]]
        dot, pixel = np.nonzero(((pixels >= 0) & (pixels < (width, height))).all(axis=2))
        x, y = pixels[dot, pixel].T
        _blend(image, y * width + x, colours[cut[dot]], weights[kind[cut[dot]], pixel])


def _blend(
    image: NDArray[np.uint8],
    places: NDArray[np.int32],
    colours: NDArray[np.uint8],
    weights: NDArray[np.float32],
) -> None:
    """Blend colours into pixels of an image, by their numbers from the top left one on."""
    flat = image.reshape(-1, 3)
    below = flat[places].astype(np.float32)
    flat[places] = below + weights[..., None] * (colours - below) + np.float32(0.5)


@lru_cache(maxsize=16)
def _stamps(radius: int, thickness_px: int | None) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """A dot for each sub-pixel phase, as OpenCV draws it.

    Returns:
        `(PHASES², P, 2)`, pixel offsets (x, y); `(PHASES², P)`, how much of each pixel is covered. Dots with
        fewer pixels repeat their last one.
    """
    reach = (radius >> _SHIFT) + (thickness_px or 0) + 2
    found = []
    for phase in range(_PHASES * _PHASES):
        canvas = np.zeros((2 * reach + 2, 2 * reach + 2), np.uint8)
        centre = [
            (reach << _SHIFT) + (part << _SHIFT) // _PHASES for part in (phase % _PHASES, phase // _PHASES)
        ]
        cv2.circle(canvas, centre, radius, 255, thickness_px or cv2.FILLED, cv2.LINE_AA, _SHIFT)
        found.append((np.argwhere(canvas)[:, ::-1] - reach, canvas[canvas > 0] / 255))
    most = max(len(pixels) for pixels, _ in found)
    pixels = np.array([np.pad(p, ((0, most - len(p)), (0, 0)), "edge") for p, _ in found], np.int32)
    return pixels, np.array([np.pad(w, (0, most - len(w)), "edge") for _, w in found], np.float32)
