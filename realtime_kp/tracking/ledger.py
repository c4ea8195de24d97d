"""Ids of tracks, and what became of those that ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TrackCounts:
    """What became of the tracks so far.

    Attributes:
        started: Tracks that were begun.
        confirmed: Tracks that were ever confirmed.
        mean_length: Mean frames seen of the confirmed ones, living ones included.
        median_length: Their median.
    """

    started: int
    confirmed: int
    mean_length: float
    median_length: float


class Ledger:
    """Gives out ids, from 1 and never twice, and remembers how long ended tracks lived, in bounded memory.

    Attributes:
        expired: Detections that were dropped because they came too late.
    """

    def __init__(self) -> None:
        self._next_id = 1
        self._ended: Counter[int] = Counter()
        self.expired = 0

    def issue(self, count: int) -> NDArray[np.int64]:
        """The next `count` ids, ascending."""
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        return ids

    def bury(self, lengths: NDArray[np.int32]) -> None:
        """Note the lengths of confirmed tracks that ended."""
        self._ended.update(lengths.tolist())

    def counts(self, living: NDArray[np.int32]) -> TrackCounts:
        """Figures of all tracks.

        Args:
            living: Lengths of the confirmed tracks that have not ended.
        """
        lengths = self._ended.copy()
        lengths.update(living.tolist())
        total = lengths.total()
        if total == 0:
            return TrackCounts(self._next_id - 1, 0, 0.0, 0.0)
        mean = sum(length * count for length, count in lengths.items()) / total
        return TrackCounts(self._next_id - 1, total, mean, _median(lengths))


def _median(lengths: Counter[int]) -> float:
    """The median of values that are given with how often each occurs."""
    values = sorted(lengths)
    reached = np.cumsum([lengths[value] for value in values])
    middle = (int(reached[-1]) - 1) // 2, int(reached[-1]) // 2
    lower, upper = (values[int(np.searchsorted(reached, rank, side="right"))] for rank in middle)
    return (lower + upper) / 2
