"""All tracks of a clip by frame, for formats that are written in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.exports.base import TrackPoints


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """Where tracks were seen, ordered by frame and then by track.

    Attributes:
        frames: `(N,) int64`, ascending.
        ids: `(N,) int64`.
        xy: `(N, 2) float64`, pixels; the centre of the top left pixel is at (0, 0).
        before: `(N,) int32`, row of the previous sighting of the same track; -1 for the first one.
        lengths: `(N,) int32`, in how many frames the track was seen so far.
        numbers: `(N,) int32`, which of the tracks it is.
    """

    frames: NDArray[np.int64]
    ids: NDArray[np.int64]
    xy: NDArray[np.float64]
    before: NDArray[np.int32]
    lengths: NDArray[np.int32]
    numbers: NDArray[np.int32]

    @classmethod
    def of(cls, tracks: Sequence[TrackPoints]) -> Sightings:
        """Those of at least one track."""
        counts = np.array([len(points.frames) for points in tracks])
        frames = np.concatenate([points.frames for points in tracks])
        order = np.argsort(frames, kind="stable").astype(np.int32)
        numbers = np.repeat(np.arange(len(tracks), dtype=np.int32), counts)
        earlier = np.arange(len(frames), dtype=np.int32)
        earlier -= np.repeat((np.cumsum(counts) - counts).astype(np.int32), counts)
        before = np.empty_like(order)
        before[order] = np.arange(len(order), dtype=np.int32)
        before = np.where(earlier > 0, np.roll(before, 1), np.int32(-1))
        numbers = numbers[order]
        return cls(
            frames[order],
            np.array([points.id for points in tracks], np.int64)[numbers],
            np.concatenate([points.xy for points in tracks])[order],
            before[order],
            earlier[order] + 1,
            numbers,
        )

    def rows(self, frame: int) -> slice:
        """The rows of one frame."""
        first, last = np.searchsorted(self.frames, (frame, frame + 1)).tolist()
        return slice(first, last)

    def velocities(
        self, rows: slice, places: NDArray[np.float64], times_ns: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Mean velocity of some tracks since they were last seen; 0 at the first sighting.

        Args:
            rows: Which sightings.
            places: `(N, 2)`, where each was seen, in any unit.
            times_ns: `(F,)`, time of each frame, nanoseconds.

        Returns:
            `(len(rows), 2)`, units a second; NaN where one of the two places is.
        """
        before = self.before[rows]
        took_s = (times_ns[self.frames[rows]] - times_ns[self.frames[before]]) / 1e9
        known = (before >= 0) & (took_s > 0)
        moved = places[rows] - places[before]
        return np.where(known[:, None], moved / np.where(known, took_s, 1.0)[:, None], 0.0)
