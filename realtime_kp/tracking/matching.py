"""Pairs of nearby positions and of similar descriptors: pure functions, sparse where geometry allows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.intp]
FloatArray = NDArray[np.float32]

_CHUNK_PAIRS = 32_768
_MAX_CELLS = 16_384  # more take longer to fill than they save


@dataclass(frozen=True, slots=True)
class Pairs:
    """Candidate or final pairs: row `a[i]` of the first set with row `b[i]` of the second."""

    a: IntArray
    b: IntArray

    def __len__(self) -> int:
        return len(self.a)

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """The pairs for which `mask` holds."""
        return Pairs(self.a[mask], self.b[mask])


def near_pairs(a_xy: FloatArray, b_xy: FloatArray, radius: float) -> Pairs:
    """All pairs that lie within `radius` of each other.

    The second set is binned into square cells at least as wide as the radius and sorted by cell; the three
    cells beside each other in a row are then one slice. Time grows with the number of neighbours, not with
    N × M.

    Args:
        a_xy: `(N, 2)`, positions.
        b_xy: `(M, 2)`, positions.
        radius: In the unit of the positions.
    """
    if len(a_xy) == 0 or len(b_xy) == 0:
        return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp))
    origin = b_xy.min(axis=0)
    width, height = (float(extent) for extent in b_xy.max(axis=0) - origin)
    cell = max(radius, (width * height / _MAX_CELLS) ** 0.5, max(width, height) / _MAX_CELLS)
    b_column, b_line = ((b_xy - origin) / cell).astype(np.int64).T
    a_column, a_line = np.floor((a_xy - origin) / cell).astype(np.int64).T
    columns = int(b_column.max()) + 3  # one empty column on each side keeps rows apart
    lines = int(b_line.max()) + 3
    keys = (b_line + 1) * columns + b_column + 1
    order = np.argsort(keys, kind="stable")
    starts = np.zeros(columns * lines + 1, np.intp)
    np.cumsum(np.bincount(keys, minlength=columns * lines), out=starts[1:])
    # Far away points would reach into other rows of cells.
    line = a_line + np.array([[0], [1], [2]])
    _, rows = there = np.nonzero((line >= 0) & (line < lines) & (a_column >= -1) & (a_column < columns - 1))
    left = line[there] * columns + a_column[rows]
    start = starts[np.maximum(left, 0)]
    count = starts[np.minimum(left + 3, columns * lines)] - start
    end = np.cumsum(count)
    a_rows = np.repeat(rows, count)
    b_rows = order[np.arange(len(a_rows)) + np.repeat(start + count - end, count)]
    dx = a_xy[:, 0].take(a_rows) - b_xy[:, 0].take(b_rows)
    dy = a_xy[:, 1].take(a_rows) - b_xy[:, 1].take(b_rows)
    return Pairs(a_rows, b_rows).where(dx * dx + dy * dy <= radius * radius)


def nearest(a_xy: FloatArray, b_xy: FloatArray) -> IntArray:
    """`(N,)`: for each position of `a_xy` the row of the nearest one of `b_xy`, which must not be empty."""
    # |a - b|² = |a|² - 2 ab + |b|², and |a|² is the same for all b.
    return np.asarray((a_xy @ b_xy.T * -2 + (b_xy * b_xy).sum(axis=1)).argmin(axis=1))


def mutual_best(pairs: Pairs, scores: FloatArray) -> NDArray[np.bool_]:
    """Which pairs are the best of both their rows: mutual nearest neighbours among candidates.

    Args:
        pairs: Candidates, each pair at most once.
        scores: One per pair, higher is better.

    Returns:
        `(len(pairs),) bool`; of equal scores the first wins, so no row is used twice.
    """
    best = np.zeros(len(pairs), np.bool_)
    if len(pairs) == 0:
        return best
    order = np.argsort(-scores, kind="stable")
    best_of_a = np.zeros(len(pairs), np.bool_)
    best_of_b = np.zeros(len(pairs), np.bool_)
    best_of_a[order[np.unique(pairs.a[order], return_index=True)[1]]] = True
    best_of_b[order[np.unique(pairs.b[order], return_index=True)[1]]] = True
    return np.asarray(best_of_a & best_of_b)


def runner_up(rows: IntArray, scores: FloatArray) -> FloatArray:
    """For each entry, the best score among the other entries of its row; -inf where it is alone.

    Args:
        rows: `(P,)` row of each entry.
        scores: `(P,)`.
    """
    others = np.full(len(rows), -np.inf, np.float32)
    if len(rows) == 0:
        return others
    order = np.lexsort((-scores, rows))
    sorted_rows, sorted_scores = rows[order], scores[order]
    starts = np.flatnonzero(np.r_[True, sorted_rows[1:] != sorted_rows[:-1]])
    lengths = np.diff(np.r_[starts, len(rows)])
    second = np.where(lengths > 1, sorted_scores[np.minimum(starts + 1, len(rows) - 1)], -np.inf)
    result = np.repeat(sorted_scores[starts], lengths)
    result[starts] = second
    others[order] = result
    return others


def similarities(a: FloatArray, b: FloatArray, pairs: Pairs) -> FloatArray:
    """Cosine of the descriptors of each pair; rows of `a` and `b` have unit length."""
    found = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _CHUNK_PAIRS):  # gathering all rows at once could take gigabytes
        part = slice(start, start + _CHUNK_PAIRS)
        np.einsum("ij,ij->i", a[pairs.a[part]], b[pairs.b[part]], out=found[part])
    return found


def mutual_nearest_neighbours(a: FloatArray, b: FloatArray, min_similarity: float) -> Pairs:
    """Mutual nearest neighbours over all N × M descriptors, without geometry.

    Args:
        a: `(N, D)`, unit rows.
        b: `(M, D)`, unit rows.
        min_similarity: Smallest cosine of a pair.
    """
    if len(a) == 0 or len(b) == 0:
        return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp))
    cosines = a @ b.T
    to_b = cosines.argmax(axis=1)
    to_a = cosines.argmax(axis=0)
    rows = np.arange(len(a))
    mutual = (to_a[to_b] == rows) & (cosines[rows, to_b] >= min_similarity)
    return Pairs(rows[mutual], to_b[mutual])


def distance_to_similarity(distance: float) -> float:
    """The cosine of two unit vectors that lie `distance` apart: `1 - d² / 2`."""
    return 1.0 - distance * distance / 2.0
