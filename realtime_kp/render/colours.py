"""Colours of scores and track ids."""

from __future__ import annotations

import colorsys
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

ID_COLOURS = 64
_DARKEST_SCORE = 0.003
_GOLDEN_RATIO = 0.618033988749895


def score_colours(scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours of keypoints, from blue (weak) over green to red (strong), on a logarithmic scale.

    Args:
        scores: `(N,)` in [0, 1].

    Returns:
        `(N, 3)`, BGR.
    """
    level = np.log(np.maximum(scores, _DARKEST_SCORE) / _DARKEST_SCORE) / np.log(1 / _DARKEST_SCORE)
    return np.asarray(_turbo()[np.clip(level * 255, 0, 255).astype(np.uint8)], np.uint8)


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


@cache
def _turbo() -> NDArray[np.uint8]:
    levels = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[:, 0], np.uint8)
