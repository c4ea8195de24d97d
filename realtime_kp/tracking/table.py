"""The state of all tracks as parallel arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Keypoints, Tracks, TrackState

FloatArray = NDArray[np.float32]


@dataclass(slots=True)
class TrackTable:
    """One row a track; rows are in the order of their ids.

    Attributes:
        ids: `(M,) int64`.
        xy: `(M, 2) float32`, where the track is, or is thought to be, in the newest frame.
        anchor_xy: `(M, 2) float32`, the same in the last frame that had keypoints.
        own_motion: `(M, 2) float32`, pixels a frame that it moves beyond the global motion.
        velocity: `(M, 2) float32`, pixels a frame that it moves in all.
        scores: `(M,) float32` of the last detection.
        lengths: `(M,) int32`, frames seen.
        streaks: `(M,) int32`, detections in a row.
        missed: `(M,) int32`, frames since it was seen.
        states: `(M,) int8`, `TrackState`.
        seen: `(M,) bool`, seen in the newest frame.
        descriptors: `(M, D) float32`, running mean, unit length.
        trails_xy: `(M, L, 2) float32`, newest last, NaN where there was none.
    """

    ids: NDArray[np.int64]
    xy: FloatArray
    anchor_xy: FloatArray
    own_motion: FloatArray
    velocity: FloatArray
    scores: FloatArray
    lengths: NDArray[np.int32]
    streaks: NDArray[np.int32]
    missed: NDArray[np.int32]
    states: NDArray[np.int8]
    seen: NDArray[np.bool_]
    descriptors: FloatArray
    trails_xy: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def born(cls, ids: NDArray[np.int64], keypoints: Keypoints, trail_length: int) -> TrackTable:
        """New tentative tracks, one a keypoint."""
        m = len(ids)
        return cls(
            ids=ids,
            xy=keypoints.xy.copy(),
            anchor_xy=keypoints.xy.copy(),
            own_motion=np.zeros((m, 2), np.float32),
            velocity=np.zeros((m, 2), np.float32),
            scores=keypoints.scores.copy(),
            lengths=np.ones(m, np.int32),
            streaks=np.ones(m, np.int32),
            missed=np.zeros(m, np.int32),
            states=np.full(m, TrackState.TENTATIVE, np.int8),
            seen=np.ones(m, np.bool_),
            descriptors=keypoints.descriptors.astype(np.float32),
            trails_xy=np.full((m, trail_length, 2), np.nan, np.float32),
        )

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the rows for which `mask` does not hold."""
        if not mask.all():
            for column in fields(self):
                setattr(self, column.name, getattr(self, column.name)[mask])

    def append(self, other: TrackTable) -> None:
        """Add the rows of another table, whose ids are all higher."""
        if len(other):
            for column in fields(self):
                joined = np.concatenate([getattr(self, column.name), getattr(other, column.name)])
                setattr(self, column.name, joined)

    def push_trails(self) -> None:
        """Let every trail end at the current place; unseen places leave a gap."""
        self.trails_xy[:, :-1] = self.trails_xy[:, 1:]
        shown = self.seen | (self.states == TrackState.CONFIRMED)
        self.trails_xy[:, -1] = np.where(shown[:, None], self.xy, np.nan)

    def snapshot(self) -> Tracks:
        """The public view of all rows; shares nothing with the table."""
        return Tracks(
            self.ids.copy(),
            self.xy.copy(),
            self.scores.copy(),
            self.lengths.copy(),
            self.states.copy(),
            self.seen.copy(),
            self.trails_xy.copy(),
        )
