"""The state of all tracks as parallel arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.keypoints import Keypoints, Tracks, TrackState

FloatArray = NDArray[np.float32]

DESCRIPTOR_MEMORY = 8


@dataclass(slots=True)
class TrackTable:
    """One row a track; rows are in the order of their ids.

    Attributes:
        ids: `(M,) int64`.
        xy: `(M, 2) float32`, where the track is, or is thought to be, in the newest frame.
        own_motion: `(M, 2) float32`, pixels a frame that it moves beyond the global motion.
        velocity: `(M, 2) float32`, pixels a frame that it moves in all.
        scores: `(M,) float32` of the last detection.
        lengths: `(M,) int32`, frames seen.
        streaks: `(M,) int32`, frames in a row in which it was seen.
        missed: `(M,) int32`, frames since it was seen.
        states: `(M,) int8`, `TrackState`.
        seen: `(M,) bool`, seen in the newest frame.
        descriptors: `(M, D) float32`, running mean, unit length.
        trails_xy: `(M, L, 2) float32`, newest last, NaN where there was none.
    """

    ids: NDArray[np.int64]
    xy: FloatArray
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
    def born(cls, ids: NDArray[np.int64], keypoints: Keypoints, trail_length: int, **columns: Any) -> Self:
        """New tentative tracks, one a keypoint; `columns` are those that a kind of table has of its own."""
        m = len(ids)
        return cls(
            ids=ids,
            xy=keypoints.xy.copy(),
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
            **columns,
        )

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the rows for which `mask` does not hold."""
        if not mask.all():
            for column in fields(self):
                setattr(self, column.name, getattr(self, column.name)[mask])

    def append(self, other: Self) -> None:
        """Add the rows of another table, whose ids are all higher."""
        if len(other):
            for column in fields(self):
                joined = np.concatenate([getattr(self, column.name), getattr(other, column.name)])
                setattr(self, column.name, joined)

    def learn_descriptors(
        self, rows: NDArray[np.intp], found: NDArray[np.floating], counts: NDArray[np.int32]
    ) -> None:
        """Take new descriptors of rows into their running means.

        Args:
            rows: `(R,)`.
            found: `(R, D)`, of the newest detection.
            counts: `(R,)`, how many descriptors each mean then holds; beyond the last 8 old ones fade.
        """
        weight = 1 / np.minimum(counts, DESCRIPTOR_MEMORY).astype(np.float32)[:, None]
        mean = self.descriptors[rows] * (1 - weight) + found.astype(np.float32) * weight
        norm = np.linalg.norm(mean, axis=1, keepdims=True)
        self.descriptors[rows] = mean / np.maximum(norm, 1e-6)

    def change_states(self, confirm_after: int) -> None:
        """Confirm what was seen often enough; what is confirmed and not seen is lost."""
        tentative = self.states == TrackState.TENTATIVE
        self.states[self.seen & (~tentative | (self.streaks >= confirm_after))] = TrackState.CONFIRMED
        self.states[~self.seen & ~tentative] = TrackState.LOST

    def ended(self, config: TrackingConfig) -> NDArray[np.bool_]:
        """Which end: tentative ones that were missed, those lost too long, the longest lost of too many."""
        lost = self.states == TrackState.LOST
        ended = lost & (self.missed > config.max_age)
        ended |= (self.states == TrackState.TENTATIVE) & (self.streaks == 0)
        remaining = np.flatnonzero(lost & ~ended)
        excess = len(remaining) - config.max_lost
        if excess > 0:
            ended[remaining[np.argsort(-self.missed[remaining], kind="stable")[:excess]]] = True
        return np.asarray(ended)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """`(M,) bool`: tentative or confirmed."""
        return np.asarray(self.states != TrackState.LOST)

    @property
    def known_lengths(self) -> NDArray[np.int32]:
        """Lengths of the tracks that were ever confirmed."""
        return np.asarray(self.lengths[self.states != TrackState.TENTATIVE])

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


@dataclass(slots=True)
class DescriptorTable(TrackTable):
    """Tracks that are found again in each detection.

    Attributes:
        anchor_xy: `(M, 2) float32`, where the track was in the last frame that had keypoints.
    """

    anchor_xy: FloatArray


@dataclass(slots=True)
class AlignedTable(TrackTable):
    """Tracks that are aligned to how they looked when they began.

    Attributes:
        affine: `(M, 2, 2) float32`, from the pixels of the key patch to those of the newest frame.
        slots: `(M,) int64`, where the pool keeps the key patch.
        adrift: `(M,) int32`, frames in a row that flow alone carried it, unlike its key patch.
        detections: `(M,) int32`, how many detections its descriptor is the mean of.
        doubts: `(M,) int32`, detections in a row that found another descriptor at its place.
    """

    affine: FloatArray
    slots: NDArray[np.int64]
    adrift: NDArray[np.int32]
    detections: NDArray[np.int32]
    doubts: NDArray[np.int32]

    @classmethod
    def started(
        cls, ids: NDArray[np.int64], keypoints: Keypoints, slots: NDArray[np.int64], trail_length: int
    ) -> Self:
        """New tentative tracks whose key patches lie at `slots`."""
        m = len(ids)
        return cls.born(
            ids,
            keypoints,
            trail_length,
            affine=np.tile(np.eye(2, dtype=np.float32), (m, 1, 1)),
            slots=slots,
            adrift=np.zeros(m, np.int32),
            detections=np.ones(m, np.int32),
            doubts=np.zeros(m, np.int32),
        )
