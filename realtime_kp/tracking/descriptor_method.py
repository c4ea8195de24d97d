"""The descriptor method: tracks by prediction and association of keypoints, without optical flow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.frame import Frame, masked_out
from realtime_kp.keypoints import Keypoints, Tracks, TrackState
from realtime_kp.lens import Lens
from realtime_kp.tracking.association import TIGHT_PX, associate, rounds
from realtime_kp.tracking.matching import (
    Pairs,
    distance_to_similarity,
    mutual_best,
    mutual_nearest_neighbours,
    near_pairs,
)
from realtime_kp.tracking.motion import GlobalMotion, estimate_motion
from realtime_kp.tracking.table import DescriptorTable
from realtime_kp.tracking.track_registry import TrackRegistry

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

_MOTION_POINTS = 300
_RESIDUAL_MOTION_GAIN = 0.3
_LOST_DAMPING = 0.8


class DescriptorMethod:
    """Associates every track with a keypoint of each detection, by descriptor and predicted position.

    Args:
        config: Radii, thresholds and ages.
        registry: Issues ids and records ended tracks.
        trail_length: Number of past positions kept for each track.
    """

    def __init__(self, config: TrackingConfig, registry: TrackRegistry, trail_length: int) -> None:
        self._config = config
        self._registry = registry
        self._trail_length = trail_length
        self._table: DescriptorTable | None = None
        self._since_detection = 0

    def update(self, frame: Frame, keypoints: Keypoints | None, elapsed: int) -> Tracks:
        """Predict, associate and update the tracks; see `Method`."""
        self._since_detection += elapsed
        if keypoints is not None and keypoints.frame_index not in (None, frame.index):
            self._registry.expired += 1
            keypoints = None
        if keypoints is None:
            return self._predict_only(frame, elapsed)
        if self._table is None:
            empty = Keypoints.empty(keypoints.descriptors.shape[1])
            self._table = self._new_tracks(np.zeros(0, np.int64), empty)
        if keypoints.descriptors.shape[1] != self._table.descriptors.shape[1]:
            self._take_descriptors(self._table, keypoints)
        self._detect(self._table, keypoints, elapsed, frame)
        self._since_detection = 0
        self._end(self._table, ~masked_out(frame.mask, self._table.xy))
        return self._table.snapshot()

    def reset(self, *, keep_queries: bool = False) -> None:
        """End all tracks; ids go on. There are no points of the user's."""
        if self._table is not None:
            self._end(self._table, np.zeros(len(self._table), np.bool_))
        self._table = None

    def remove(self, track_id: int) -> None:
        """There are no points of the user's: they need alignment."""

    @property
    def confirmed_lengths(self) -> NDArray[np.int32]:
        """Lengths of the current tracks that are or were confirmed."""
        return np.zeros(0, np.int32) if self._table is None else self._table.confirmed_lengths

    def _predict_only(self, frame: Frame, elapsed: int) -> Tracks:
        table = self._table
        if table is None:
            return Tracks.empty(self._trail_length)
        table.xy = table.xy + table.velocity * np.float32(elapsed)
        table.seen[:] = False
        table.missed += elapsed
        self._end_old(table)
        self._end(table, ~masked_out(frame.mask, table.xy))
        table.push_trails()
        return table.snapshot()

    def _detect(self, table: DescriptorTable, keypoints: Keypoints, elapsed: int, frame: Frame) -> None:
        motion = self._global_motion(table, keypoints, frame.lens)
        moved = self._move(table, motion)
        predicted_xy = moved + table.residual_motion * np.float32(self._since_detection)
        spread_px = None if motion is None else motion.spread_px
        pairs = associate(table, predicted_xy, keypoints, rounds(self._config, max(frame.size_wh), spread_px))
        self._update_tracks(table, moved, predicted_xy, pairs, keypoints, elapsed)
        self._end_old(table)
        free = np.ones(len(keypoints), np.bool_)
        free[pairs.b] = False
        self._start(table, keypoints, np.flatnonzero(free))
        table.push_trails()

    def _take_descriptors(self, table: DescriptorTable, keypoints: Keypoints) -> None:
        """Give tracks the descriptors of the keypoints where they are expected, after a change of network."""
        table.forget_descriptors(keypoints.descriptors.shape[1])
        known = np.flatnonzero(table.states != TrackState.LOST)
        expected_xy = table.anchor_xy[known] + table.velocity[known] * np.float32(self._since_detection)
        pairs = near_pairs(expected_xy, keypoints.xy, TIGHT_PX[1])
        gap = expected_xy[pairs.a] - keypoints.xy[pairs.b]
        best = mutual_best(pairs, -np.linalg.norm(gap, axis=1))
        table.descriptors[known[pairs.a[best]]] = keypoints.descriptors[pairs.b[best]]

    def _global_motion(
        self, table: DescriptorTable, keypoints: Keypoints, lens: Lens | None
    ) -> GlobalMotion | None:
        """The motion on which most pairs of tracks and keypoints agree, matched by descriptor alone."""
        known = np.flatnonzero(table.states != TrackState.LOST)
        if len(known) > _MOTION_POINTS:
            known = known[np.argpartition(-table.scores[known], _MOTION_POINTS)[:_MOTION_POINTS]]
        pairs = mutual_nearest_neighbours(
            table.descriptors[known],
            keypoints.descriptors[:_MOTION_POINTS].astype(np.float32, copy=False),
            distance_to_similarity(self._config.match_threshold),
        )
        return estimate_motion(table.anchor_xy[known[pairs.a]], keypoints.xy[pairs.b], lens=lens)

    def _move(self, table: DescriptorTable, motion: GlobalMotion | None) -> FloatArray:
        """Positions predicted by the global motion alone; without one, by the last velocity."""
        if motion is not None:
            return motion.apply(table.anchor_xy)
        frames = np.float32(self._since_detection)
        return np.asarray(table.anchor_xy + (table.velocity - table.residual_motion) * frames, np.float32)

    def _update_tracks(
        self,
        table: DescriptorTable,
        moved: FloatArray,
        predicted_xy: FloatArray,
        pairs: Pairs,
        keypoints: Keypoints,
        elapsed: int,
    ) -> None:
        """Write the associated keypoints into the table."""
        frames = np.float32(self._since_detection)
        rows, found_xy = pairs.a, keypoints.xy[pairs.b]
        returning = table.states[rows] == TrackState.LOST
        # Residual motion of lost tracks decays: it is not observed any more.
        residual_motion = _LOST_DAMPING * table.residual_motion
        residual = table.residual_motion[rows]
        residual = residual + _RESIDUAL_MOTION_GAIN * ((found_xy - moved[rows]) / frames - residual)
        residual_motion[rows] = np.where(returning[:, None], 0, residual)
        new_xy = predicted_xy.copy()
        new_xy[rows] = found_xy
        velocity = (predicted_xy - table.anchor_xy) / frames
        velocity[rows] = np.where(
            returning[:, None], (moved - table.anchor_xy)[rows] / frames, velocity[rows]
        )
        table.residual_motion, table.velocity = residual_motion, velocity
        table.xy, table.anchor_xy = new_xy, new_xy.copy()
        table.seen[:] = False
        table.seen[rows] = True
        table.missed = np.where(table.seen, 0, table.missed + elapsed).astype(np.int32)
        table.streaks = np.where(table.seen, table.streaks + 1, 0).astype(np.int32)
        table.lengths[rows] += 1
        table.scores[rows] = keypoints.scores[pairs.b]
        table.update_descriptors(rows, keypoints.descriptors[pairs.b], table.lengths[rows])
        table.update_states(self._config.confirm_after)

    def _end_old(self, table: DescriptorTable) -> None:
        self._end(table, ~table.ended(self._config))

    def _end(self, table: DescriptorTable, keep: NDArray[np.bool_]) -> None:
        self._registry.record_ended(table.lengths[~keep & (table.states != TrackState.TENTATIVE)])
        table.keep(keep)

    def _start(self, table: DescriptorTable, keypoints: Keypoints, rows: IntArray) -> None:
        """Start tracks on the best keypoints that are not associated, as far as the budget allows."""
        active = int((table.states != TrackState.LOST).sum())
        rows = rows[: max(0, self._config.max_tracks - active)]
        started = self._new_tracks(self._registry.new_ids(len(rows)), keypoints.rows(rows))
        if self._config.confirm_after == 1:
            started.states[:] = TrackState.CONFIRMED
        table.append(started)

    def _new_tracks(self, ids: NDArray[np.int64], keypoints: Keypoints) -> DescriptorTable:
        return DescriptorTable.new(ids, keypoints, self._trail_length, anchor_xy=keypoints.xy.copy())
