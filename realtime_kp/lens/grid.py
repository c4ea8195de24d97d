"""Values between the nodes of a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64] | NDArray[np.float32]


def interpolated(grid: Float, place: Float, reach: float) -> Float:
    """Bilinear interpolation in a grid; beyond it, the cells at its edge are continued.

    Args:
        grid: `(R, C, 2)`, values at the nodes.
        place: `(N, 2)`, column and row, in nodes from the first one.
        reach: How far, in nodes, cells are continued.

    Returns:
        `(N, 2)`; NaN at NaN.
    """
    last = np.array(grid.shape[1::-1]) - 2
    cell = np.clip(np.nan_to_num(place), 0, last).astype(np.intp)
    x, y = np.clip(place - cell, -reach, reach).T[:, :, None]
    column, row = cell.T
    above = (1 - x) * grid[row, column] + x * grid[row, column + 1]
    below = (1 - x) * grid[row + 1, column] + x * grid[row + 1, column + 1]
    return np.asarray((1 - y) * above + y * below)
