"""Track ids, and statistics of the tracks that ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TrackCounts:
    """Statistics of all tracks so far.

    Attributes:
        started: Number of tracks that were started.
        confirmed: Number of tracks that were ever confirmed.
        mean_length: Mean number of frames in which a confirmed track was seen, current tracks included.
        median_length: Median of the same.
    """

    started: int
    confirmed: int
    mean_length: float
    median_length: float


class TrackRegistry:
    """Issues ids, starting at 1 and never reused, and keeps a histogram of the lengths of ended tracks.

    Attributes:
        expired: Number of detections that were dropped because their frame had left the history.
    """

    def __init__(self) -> None:
        self._next_id = 1
        self._ended_lengths: Counter[int] = Counter()
        self.expired = 0

    def new_ids(self, count: int) -> NDArray[np.int64]:
        """The next `count` ids, ascending."""
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        return ids

    def record_ended(self, lengths: NDArray[np.int32]) -> None:
        """Add the lengths of confirmed tracks that ended."""
        self._ended_lengths.update(lengths.tolist())

    def counts(self, current_lengths: NDArray[np.int32]) -> TrackCounts:
        """Statistics of all tracks.

        Args:
            current_lengths: Lengths of the confirmed tracks that have not ended.
        """
        lengths = self._ended_lengths.copy()
        lengths.update(current_lengths.tolist())
        total = lengths.total()
        if total == 0:
            return TrackCounts(self._next_id - 1, 0, 0.0, 0.0)
        mean = sum(length * count for length, count in lengths.items()) / total
        return TrackCounts(self._next_id - 1, total, mean, _median(lengths))


def _median(histogram: Counter[int]) -> float:
    """Median of the values of a histogram that is not empty."""
    values = sorted(histogram)
    cumulative = np.cumsum([histogram[value] for value in values])
    middle = (int(cumulative[-1]) - 1) // 2, int(cumulative[-1]) // 2
    lower, upper = (values[int(np.searchsorted(cumulative, rank, side="right"))] for rank in middle)
    return (lower + upper) / 2
