"""Settings, constants and result type of both decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CELL = 8
REFINE_REACH_PX = 2
# Of non-maximum suppression, after the first: peaks that only a suppressed one exceeded come back.
SUPPRESSION_ROUNDS = 2

# Positions `(B, K, 2)`, scores `(B, K)` and descriptors `(B, K, D)`; rows of score 0 are unused.
HostArrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """Settings of decoding.

    Attributes:
        max_keypoints: Largest number of keypoints per image.
        nms_radius: Radius of non-maximum suppression, network pixels.
        border: Width of the margin without keypoints, network pixels.
        subpixel: Whether keypoints are refined to a fraction of a pixel.
        descriptor_grid: Formula that maps pixels to cells of the descriptor map; see `grid_scale`.
    """

    max_keypoints: int
    nms_radius: int
    border: int
    subpixel: bool
    descriptor_grid: Literal["exact", "transformers"]


def block_px(radius: int) -> int:
    """Side of the largest block that divides a cell and holds at most one survivor of the suppression.

    Args:
        radius: Radius of non-maximum suppression, network pixels.
    """
    return next(b for b in (8, 4, 2, 1) if b <= radius + 1)


def grid_scale(count: int, grid: Literal["exact", "transformers"]) -> float:
    """Cells per pixel along one axis of the descriptor map.

    The centre of cell c lies at pixel 8c + 3.5, so the exact position of pixel x is `(x - 3.5) / 8` cells.
    transformers' `_sample_descriptors` uses `(x - 3.5) / (8n - 4.5) * (n - 1)`, which drifts towards the far
    edge.

    Args:
        count: Number of cells n along the axis.
        grid: Which of the two formulas.
    """
    return 1 / CELL if grid == "exact" else (count - 1) / (CELL * count - 4.5)
