"""Which colour a score or an id has."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Bgr = tuple[int, int, int]

_DARKEST_SCORE = 0.003
_GOLDEN_RATIO = 0.618033988749895


def score_colours(scores: NDArray[np.float32]) -> list[Bgr]:
    """Colours of keypoints, from blue (weak) over green to red (strong), on a logarithmic scale.

    Args:
        scores: `(N,)` in [0, 1].

    Returns:
        One BGR colour each.
    """
    level = np.log(np.maximum(scores, _DARKEST_SCORE) / _DARKEST_SCORE) / np.log(1 / _DARKEST_SCORE)
    index = np.clip(level * 255, 0, 255).astype(np.uint8)
    palette = cv2.applyColorMap(np.arange(256, dtype=np.uint8).reshape(-1, 1), cv2.COLORMAP_TURBO)[:, 0]
    return [(int(b), int(g), int(r)) for b, g, r in palette[index]]


@lru_cache(maxsize=65536)
def id_colour(track_id: int) -> Bgr:
    """A bright colour for a track: neighbouring ids get hues that lie far apart."""
    hue = (track_id * _GOLDEN_RATIO) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75 + 0.25 * (track_id % 2), 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)
