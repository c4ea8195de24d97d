"""The tracks of a tracker as parallel arrays: one table, one row per track."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.keypoints import Keypoints, Tracks, TrackState
from realtime_kp.tracking.parallax import MOVES_PX, SETTLED, UNKNOWN

FloatArray = NDArray[np.float32]

DESCRIPTOR_MEMORY = 8


@dataclass(slots=True)
class TrackTable:
    """State of all tracks; rows are in ascending order of their ids.

    Attributes:
        ids: `(M,) int64`.
        xy: `(M, 2) float32`, position in the newest frame, predicted where the track was not seen.
        residual_motion: `(M, 2) float32`, motion relative to the global motion, pixels per frame.
        velocity: `(M, 2) float32`, total motion, pixels per frame.
        scores: `(M,) float32`, score of the last detection.
        lengths: `(M,) int32`, number of frames in which the track was seen.
        streaks: `(M,) int32`, number of consecutive frames in which it was seen, up to the newest.
        missed: `(M,) int32`, number of frames since it was last seen.
        states: `(M,) int8`, values of `TrackState`.
        seen: `(M,) bool`, whether it was seen in the newest frame.
        descriptors: `(M, D) float32`, running mean of the detections, unit length; zero before the first.
        trails_xy: `(M, L, 2) float32`, last L positions, newest last; NaN where there was none.
        sigma_px: `(M,) float32`, standard deviation of the position; NaN where unknown.
        born_xy: `(M, 2) float32`, the position when it was confirmed; until then the first one.
    """

    ids: NDArray[np.int64]
    xy: FloatArray
    residual_motion: FloatArray
    velocity: FloatArray
    scores: FloatArray
    lengths: NDArray[np.int32]
    streaks: NDArray[np.int32]
    missed: NDArray[np.int32]
    states: NDArray[np.int8]
    seen: NDArray[np.bool_]
    descriptors: FloatArray
    trails_xy: FloatArray
    sigma_px: FloatArray
    born_xy: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def new(cls, ids: NDArray[np.int64], keypoints: Keypoints, trail_length: int, **columns: Any) -> Self:
        """New tentative tracks.

        Args:
            ids: `(M,)`.
            keypoints: M keypoints, one per track.
            trail_length: Number of positions in a trail.
            **columns: The additional columns of a subclass.
        """
        m = len(ids)
        return cls(
            ids=ids,
            xy=keypoints.xy.copy(),
            residual_motion=np.zeros((m, 2), np.float32),
            velocity=np.zeros((m, 2), np.float32),
            scores=keypoints.scores.copy(),
            lengths=np.ones(m, np.int32),
            streaks=np.ones(m, np.int32),
            missed=np.zeros(m, np.int32),
            states=np.full(m, TrackState.TENTATIVE, np.int8),
            seen=np.ones(m, np.bool_),
            descriptors=keypoints.descriptors.astype(np.float32),
            trails_xy=np.full((m, trail_length, 2), np.nan, np.float32),
            sigma_px=np.full(m, np.nan, np.float32),
            born_xy=keypoints.xy.copy(),
            **columns,
        )

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Keep the rows for which `mask` (`(M,) bool`) holds, drop the others."""
        if not mask.all():
            self.keep_rows(np.flatnonzero(mask))

    def keep_rows(self, rows: NDArray[np.intp]) -> None:
        """Keep some rows, in this order, and drop the others."""
        for column in fields(self):
            setattr(self, column.name, getattr(self, column.name)[rows])

    def append(self, other: Self) -> None:
        """Append the rows of another table, whose ids must all be higher."""
        if len(other):
            for column in fields(self):
                joined = np.concatenate([getattr(self, column.name), getattr(other, column.name)])
                setattr(self, column.name, joined)

    def forget_descriptors(self, length: int) -> None:
        """Drop all descriptors: those of another network cannot be compared with them."""
        self.descriptors = np.zeros((len(self), length), np.float32)

    def update_descriptors(
        self, rows: NDArray[np.intp], found: NDArray[np.floating], counts: NDArray[np.int32]
    ) -> None:
        """Update the running means of some rows with new descriptors.

        Args:
            rows: `(R,)`.
            found: `(R, D)`, descriptors of the newest detection.
            counts: `(R,)`, number of descriptors in each mean, the new one included; above 8 the mean is
                exponential.
        """
        weight = 1 / np.minimum(counts, DESCRIPTOR_MEMORY).astype(np.float32)[:, None]
        mean = self.descriptors[rows] * (1 - weight) + found.astype(np.float32) * weight
        norm = np.linalg.norm(mean, axis=1, keepdims=True)
        self.descriptors[rows] = mean / np.maximum(norm, 1e-6)

    def update_states(self, confirm_after: int) -> None:
        """Apply the life cycle to tracks that were seen and to those that were not.

        Tentative tracks become confirmed when seen `confirm_after` times in a row; confirmed tracks become
        lost when not seen; lost tracks become confirmed again when seen.
        """
        tentative = self.states == TrackState.TENTATIVE
        confirmed = self.seen & (~tentative | (self.streaks >= confirm_after))
        self.states[confirmed] = TrackState.CONFIRMED
        self.born_xy = np.where((tentative & confirmed)[:, None], self.xy, self.born_xy)
        self.states[~self.seen & ~tentative] = TrackState.LOST

    def ended(self, config: TrackingConfig) -> NDArray[np.bool_]:
        """Which tracks end.

        These are tentative tracks that were not seen, tracks lost for more than `max_age` frames, and the
        longest lost ones where more than `max_lost` are lost.

        Returns:
            `(M,) bool`.
        """
        lost = self.states == TrackState.LOST
        ended = lost & (self.missed > config.max_age)
        ended |= (self.states == TrackState.TENTATIVE) & (self.streaks == 0)
        remaining = np.flatnonzero(lost & ~ended)
        excess = len(remaining) - config.max_lost
        if excess > 0:
            ended[remaining[np.argsort(-self.missed[remaining], kind="stable")[:excess]]] = True
        return np.asarray(ended)

    @property
    def active(self) -> NDArray[np.bool_]:
        """`(M,) bool`: tentative or confirmed, not lost."""
        return np.asarray(self.states != TrackState.LOST)

    @property
    def confirmed_lengths(self) -> NDArray[np.int32]:
        """Lengths of the tracks that are or were confirmed."""
        return np.asarray(self.lengths[self.states != TrackState.TENTATIVE])

    def push_trails(self) -> None:
        """Append the current position to every trail; NaN for lost tracks."""
        self.trails_xy[:, :-1] = self.trails_xy[:, 1:]
        shown = self.seen | (self.states == TrackState.CONFIRMED)
        self.trails_xy[:, -1] = np.where(shown[:, None], self.xy, np.nan)

    def snapshot(self) -> Tracks:
        """All tracks as the public `Tracks`; copies, so that later changes of the table do not show."""
        return Tracks(
            self.ids.copy(),
            self.xy.copy(),
            self.scores.copy(),
            self.lengths.copy(),
            self.states.copy(),
            self.seen.copy(),
            self.trails_xy.copy(),
            self.sigma_px.copy(),
            born_xy=self.born_xy.copy(),
        )


@dataclass(slots=True)
class DescriptorTable(TrackTable):
    """Tracks of the descriptor method, which exist in frames with keypoints only.

    Attributes:
        anchor_xy: `(M, 2) float32`, position in the last frame with keypoints.
    """

    anchor_xy: FloatArray


@dataclass(slots=True)
class AlignedTable(TrackTable):
    """Tracks of the hybrid method, which are aligned to a key patch in every frame.

    Attributes:
        affine: `(M, 2, 2) float32`, from pixels of the key patch to pixels of the newest frame.
        sure_affine: `(M, 2, 2) float32`, the same, not adapted since the track last resembled its key patch:
            what hides a point spoils the adaptation before the track is lost.
        slots: `(M,) int64`, slot of the key patch in the `PatchPool`.
        flow_only: `(M,) int32`, number of consecutive frames tracked by optical flow without agreement with
            the key patch.
        detections: `(M,) int32`, number of detections in its descriptor; 0 where it has none.
        contradictions: `(M,) int32`, number of consecutive detections with a different descriptor at its
            position.
        inverse_depths: `(M,) float32`, relative inverse depths in the newest frame; see
            `realtime_kp.tracking.parallax`.
        depth_slopes: `(M, 2) float32`, change of the inverse depth per pixel on the surface of the track.
        depth_variances: `(M,) float32`, their variances; `UNKNOWN` where nothing is known.
        misfit_px: `(M,) float32`, running mean of the distance from where the inverse depth predicted it.
        pinned: `(M,) bool`, points that the user asked for: they are lost at worst, and never end.
    """

    affine: FloatArray
    sure_affine: FloatArray
    slots: NDArray[np.int64]
    flow_only: NDArray[np.int32]
    detections: NDArray[np.int32]
    contradictions: NDArray[np.int32]
    inverse_depths: FloatArray
    depth_slopes: FloatArray
    depth_variances: FloatArray
    misfit_px: FloatArray
    pinned: NDArray[np.bool_]

    @property
    def placed(self) -> NDArray[np.bool_]:
        """`(M,) bool`: tracks whose inverse depth is known, and that move as it says."""
        return np.asarray((self.depth_variances < SETTLED) & (self.misfit_px <= MOVES_PX))

    def forget_descriptors(self, length: int) -> None:
        """Drop all descriptors; the next detection at a track gives it a new one."""
        TrackTable.forget_descriptors(self, length)
        self.detections[:] = self.contradictions[:] = 0

    @classmethod
    def with_patches(
        cls, ids: NDArray[np.int64], keypoints: Keypoints, slots: NDArray[np.int64], trail_length: int
    ) -> Self:
        """New tentative tracks with key patches in the given slots."""
        m = len(ids)
        return cls.new(
            ids,
            keypoints,
            trail_length,
            affine=np.tile(np.eye(2, dtype=np.float32), (m, 1, 1)),
            sure_affine=np.tile(np.eye(2, dtype=np.float32), (m, 1, 1)),
            slots=slots,
            flow_only=np.zeros(m, np.int32),
            detections=np.ones(m, np.int32),
            contradictions=np.zeros(m, np.int32),
            inverse_depths=np.zeros(m, np.float32),
            depth_slopes=np.zeros((m, 2), np.float32),
            depth_variances=np.full(m, UNKNOWN),
            misfit_px=np.zeros(m, np.float32),
            pinned=np.zeros(m, np.bool_),
        )

    def lose(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> None:
        """Lose some tracks at once."""
        self.states[rows], self.seen[rows], self.streaks[rows] = TrackState.LOST, False, 0
