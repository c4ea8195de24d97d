"""Colours of scores and track ids."""

from __future__ import annotations

import colorsys
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

ID_COLOURS = 64
_DARKEST_SCORE = 0.003
_BIRTH_COLUMNS, _BIRTH_ROWS = 16, 4
_WIDEST_HUE = 0.85  # the last one is not the first one again
_GOLDEN_RATIO = 0.618033988749895


def score_colours(scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours of keypoints, from blue (weak) over green to red (strong), on a logarithmic scale.

    Args:
        scores: `(N,)` in [0, 1].

    Returns:
        `(N, 3)`, BGR.
    """
    level = np.log(np.maximum(scores, _DARKEST_SCORE) / _DARKEST_SCORE) / np.log(1 / _DARKEST_SCORE)
    return np.asarray(turbo_palette()[np.clip(level * 255, 0, 255).astype(np.uint8)], np.uint8)


def colour_numbers(ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """`(N,)`: index of the colour of each track; consecutive ids get distant hues."""
    hues = ID_COLOURS // 2
    return np.asarray((ids * _GOLDEN_RATIO % 1.0 * hues).astype(np.intp) * 2 + ids % 2, np.intp)


@cache
def id_palette() -> NDArray[np.uint8]:
    """`(ID_COLOURS, 3)`: bright BGR colours, every second one paler."""
    numbers = range(ID_COLOURS)
    rgb = [colorsys.hsv_to_rgb(n // 2 * 2 / ID_COLOURS, 0.75 + 0.25 * (n % 2), 1.0) for n in numbers]
    return np.asarray(np.rint(np.array(rgb)[:, ::-1] * 255), np.uint8)


def id_rgb(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """`(N, 3)`: red, green and blue of each track by its id."""
    return np.ascontiguousarray(id_palette()[colour_numbers(ids)][:, ::-1])


def birth_places(born_xy: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.intp]:
    """`(N,)`: index of the colour of each track by the place where it was born, in `birth_palette`.

    Args:
        born_xy: `(N, 2)`, pixels.
        size_wh: Width and height of the picture.
    """
    steps = np.array([_BIRTH_COLUMNS, _BIRTH_ROWS])
    column, row = np.clip(np.nan_to_num(born_xy) / size_wh * steps, 0, steps - 1).astype(np.intp).T
    return np.asarray(row * _BIRTH_COLUMNS + column, np.intp)


@cache
def birth_palette() -> NDArray[np.uint8]:
    """Bright BGR colours: hues from left to right, from full at the top to pale at the bottom."""
    places = [(row, column) for row in range(_BIRTH_ROWS) for column in range(_BIRTH_COLUMNS)]
    rgb = [
        colorsys.hsv_to_rgb(
            _WIDEST_HUE * column / (_BIRTH_COLUMNS - 1), 1.0 - 0.6 * row / (_BIRTH_ROWS - 1), 1.0
        )
        for row, column in places
    ]
    return np.asarray(np.rint(np.array(rgb)[:, ::-1] * 255), np.uint8)


@cache
def turbo_palette() -> NDArray[np.uint8]:
    """`(256, 3)`: BGR colours from blue (little) over green to red (much)."""
    levels = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[:, 0], np.uint8)
