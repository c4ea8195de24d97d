"""Tracks collected one by one, and given back frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.exports.base import TrackPoints


@dataclass(frozen=True, slots=True, eq=False)
class FrameRows:
    """The tracks in one frame.

    Attributes:
        frame: Its number.
        ids: `(N,) int64`, ascending.
        xy: `(N, 2) float64`, pixels; the centre of the top left pixel is at (0, 0).
        before_xy: `(N, 2) float64`, where each was when it was last seen; NaN in its first frame.
        before: `(N,) int64`, the frame in which that was; -1 in its first.
        lengths: `(N,) int64`, in how many frames each was seen so far.
        trails: `(N, L, 2) float64`, positions of the last L frames, the newest last; before a track began, or
            was lost, its first one since then.
    """

    frame: int
    ids: NDArray[np.int64]
    xy: NDArray[np.float64]
    before_xy: NDArray[np.float64]
    before: NDArray[np.int64]
    lengths: NDArray[np.int64]
    trails: NDArray[np.float64]


class RowCollector:
    """Collects tracks for formats that are written frame by frame.

    Args:
        trail_length: Number of positions of a trail.

    Attributes:
        names: Names of the points that have one of their own, by id.
    """

    def __init__(self, trail_length: int = 1) -> None:
        self._trail_length = trail_length
        self.names: dict[int, str] = {}
        self._ids: list[NDArray[np.int64]] = []
        self._frames: list[NDArray[np.int64]] = []
        self._xy: list[NDArray[np.float64]] = []

    def add(self, points: TrackPoints) -> None:
        """Add a track."""
        if points.name != f"track{points.id}":
            self.names[points.id] = points.name
        self._ids.append(np.full(len(points.frames), points.id))
        self._frames.append(points.frames)
        self._xy.append(points.xy)

    @property
    def numbers(self) -> list[int]:
        """The frames with tracks."""
        numbers: list[int] = np.unique(np.concatenate(self._frames)).tolist()
        return numbers

    def frames(self) -> Iterator[FrameRows]:
        """All frames with tracks, in order; what was collected is given up."""
        ids, frames = np.concatenate(self._ids), np.concatenate(self._frames)
        xy = np.concatenate(self._xy)
        self._ids, self._frames, self._xy = [], [], []
        first = np.append(True, np.diff(ids) != 0)
        before = np.where(first, -1, np.roll(frames, 1))
        before_xy = np.where(first[:, None], np.nan, np.roll(xy, 1, axis=0))
        place = np.arange(len(ids))
        lengths = place - np.maximum.accumulate(np.where(first, place, 0)) + 1
        begins = np.maximum.accumulate(np.where(first | (frames - before > 1), place, 0))
        steps = np.arange(-self._trail_length + 1, 1)
        order = np.lexsort((ids, frames))
        numbers, starts = np.unique(frames[order], return_index=True)
        for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
            trails = xy[np.maximum(rows[:, None] + steps, begins[rows][:, None])]
            yield FrameRows(number, ids[rows], xy[rows], before_xy[rows], before[rows], lengths[rows], trails)
