"""Drawing of many small discs or rings by one indexed assignment, instead of one OpenCV call each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_PHASE_BITS = 2
_PHASES = 1 << _PHASE_BITS  # each way, between one pixel and the next
_FARTHEST = 2**20
_WHOLE = 254  # of 255: as good as covered


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
    rims, insides = _stamps(round(radius_px * (1 << _SHIFT)), thickness_px)
    steps = np.floor(np.clip(xy, -_FARTHEST, _FARTHEST) * _PHASES + 0.5).astype(np.int32)
    cells, phase = steps >> _PHASE_BITS, steps & (_PHASES - 1)
    kind = phase[:, 1] * _PHASES + phase[:, 0]
    for stamp in (rims, insides):
        _draw_stamps(image, cells, kind, colours, stamp)


def _draw_stamps(
    image: NDArray[np.uint8],
    cells: NDArray[np.int32],
    kind: NDArray[np.int32],
    colours: NDArray[np.uint8],
    stamp: _Stamp,
) -> None:
    height, width = image.shape[:2]
    reach = int(np.abs(stamp.offsets).max(initial=0))
    inside = ((cells >= reach) & (cells < np.array([width, height]) - reach)).all(axis=1)
    steps = stamp.offsets[..., 1] * width + stamp.offsets[..., 0]
    places = (cells[inside, 1] * width + cells[inside, 0])[:, None] + steps[kind[inside]]
    weights = None if stamp.weights is None else stamp.weights[kind[inside]]
    _blend(image, places, colours[inside][:, None], weights)
    if not inside.all():
        cut = np.flatnonzero(~inside)
        pixels = cells[cut, None] + stamp.offsets[kind[cut]]
        dot, pixel = np.nonzero(((pixels >= 0) & (pixels < (width, height))).all(axis=2))
        x, y = pixels[dot, pixel].T
        weights = None if stamp.weights is None else stamp.weights[kind[cut[dot]], pixel]
        _blend(image, y * width + x, colours[cut[dot]], weights)


def _blend(
    image: NDArray[np.uint8],
    places: NDArray[np.int32],
    colours: NDArray[np.uint8],
    weights: NDArray[np.float32] | None,
) -> None:
    """Blend colours into pixels of an image, by their numbers from the top left one on; None covers them."""
    flat = image.reshape(-1, 3)
    if weights is None:
        flat[places] = colours
        return
    below = flat[places].astype(np.float32)
    flat[places] = below + weights[..., None] * (colours - below) + np.float32(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Stamp:
    """Some pixels of a dot, for each sub-pixel phase; those with fewer repeat their last one.

    Attributes:
        offsets: `(PHASES², P, 2)`, x and y from the centre's pixel.
        weights: `(PHASES², P)`, how much of each is covered; None for all of it.
    """

    offsets: NDArray[np.int32]
    weights: NDArray[np.float32] | None


@lru_cache(maxsize=16)
def _stamps(radius: int, thickness_px: int | None) -> tuple[_Stamp, _Stamp]:
    """The rim and the inside of a dot, as OpenCV draws it; all is rim where some phase has no inside."""
    reach = (radius >> _SHIFT) + (thickness_px or 0) + 2
    drawn = []
    for phase in range(_PHASES * _PHASES):
        canvas = np.zeros((2 * reach + 2, 2 * reach + 2), np.uint8)
        centre = [
            (reach << _SHIFT) + (part << _SHIFT) // _PHASES for part in (phase % _PHASES, phase // _PHASES)
        ]
        cv2.circle(canvas, centre, radius, 255, thickness_px or cv2.FILLED, cv2.LINE_AA, _SHIFT)
        drawn.append(canvas)
    whole = _WHOLE if all((canvas >= _WHOLE).any() for canvas in drawn) else 256
    rims = [(canvas > 0) & (canvas < whole) for canvas in drawn]
    weights = [canvas[rim] / np.float32(255) for canvas, rim in zip(drawn, rims, strict=True)]
    offsets = [np.argwhere(rim)[:, ::-1] - reach for rim in rims]
    inside = [np.argwhere(canvas >= whole)[:, ::-1] - reach for canvas in drawn]
    return _Stamp(_padded(offsets), _padded(weights)), _Stamp(_padded(inside), None)


def _padded(rows: list[NDArray[Any]]) -> NDArray[Any]:
    """Arrays as rows of one, made as long as the longest by repeating their last value."""
    most = max(len(row) for row in rows)
    return np.stack([np.concatenate([row, np.repeat(row[-1:], most - len(row), axis=0)]) for row in rows])
