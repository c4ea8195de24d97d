"""Tracks by descriptor alone: prediction, matching, life cycle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks, TrackState
from realtime_kp.tracking.assignment import assign, rounds
from realtime_kp.tracking.ledger import Ledger
from realtime_kp.tracking.matching import Pairs, distance_to_similarity, mutual_nearest_neighbours
from realtime_kp.tracking.motion import GlobalMotion, estimate_motion
from realtime_kp.tracking.table import DescriptorTable

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

_MOTION_POINTS = 300
_OWN_MOTION_GAIN = 0.3
_LOST_DAMPING = 0.8


class DescriptorMethod:
    """Finds every track again in each detection, by descriptor and predicted place.

    Args:
        config: Radii, thresholds and ages.
        ledger: Where ids come from.
        trail_length: How many past places each track remembers.
    """

    def __init__(self, config: TrackingConfig, ledger: Ledger, trail_length: int) -> None:
        self._config = config
        self._ledger = ledger
        self._trail_length = trail_length
        self._table: DescriptorTable | None = None
        self._since_detection = 0

    def update(self, frame: Frame, keypoints: Keypoints | None, passed: int) -> Tracks:
        """Carry the tracks to a frame; see `Method`."""
        self._since_detection += passed
        if keypoints is not None and keypoints.frame_index not in (None, frame.index):
            self._ledger.expired += 1
            keypoints = None
        if keypoints is None:
            return self._coast(passed)
        if self._table is None:
            empty = Keypoints.empty(keypoints.descriptors.shape[1])
            self._table = self._born(np.zeros(0, np.int64), empty)
        self._detect(self._table, keypoints, passed, max(frame.size_wh))
        self._since_detection = 0
        return self._table.snapshot()

    def reset(self) -> None:
        """End all tracks; ids go on."""
        if self._table is not None:
            self._bury(self._table, np.zeros(len(self._table), np.bool_))
        self._table = None

    @property
    def known_lengths(self) -> NDArray[np.int32]:
        """Lengths of the living tracks that were ever confirmed."""
        return np.zeros(0, np.int32) if self._table is None else self._table.known_lengths

    def _coast(self, passed: int) -> Tracks:
        table = self._table
        if table is None:
            return Tracks.empty(self._trail_length)
        table.xy = table.xy + table.velocity * np.float32(passed)
        table.seen[:] = False
        table.missed += passed
        self._end_old(table)
        table.push_trails()
        return table.snapshot()

    def _detect(self, table: DescriptorTable, keypoints: Keypoints, passed: int, long_side_px: int) -> None:
        motion = self._global_motion(table, keypoints)
        moved = self._move(table, motion)
        place = moved + table.own_motion * np.float32(self._since_detection)
        spread_px = None if motion is None else motion.spread_px
        pairs = assign(table, place, keypoints, rounds(self._config, long_side_px, spread_px))
        self._settle(table, moved, place, pairs, keypoints, passed)
        self._end_old(table)
        free = np.ones(len(keypoints), np.bool_)
        free[pairs.b] = False
        self._start(table, keypoints, np.flatnonzero(free))
        table.push_trails()

    def _global_motion(self, table: DescriptorTable, keypoints: Keypoints) -> GlobalMotion | None:
        """What most tracks and keypoints agree on, matched by descriptor alone."""
        known = np.flatnonzero(table.states != TrackState.LOST)
        if len(known) > _MOTION_POINTS:
            known = known[np.argpartition(-table.scores[known], _MOTION_POINTS)[:_MOTION_POINTS]]
        pairs = mutual_nearest_neighbours(
            table.descriptors[known],
            keypoints.descriptors[:_MOTION_POINTS].astype(np.float32, copy=False),
            distance_to_similarity(self._config.match_threshold),
        )
        return estimate_motion(table.anchor_xy[known[pairs.a]], keypoints.xy[pairs.b])

    def _move(self, table: DescriptorTable, motion: GlobalMotion | None) -> FloatArray:
        """Where the global motion alone takes the tracks; without one they go on as they went."""
        if motion is not None:
            return motion.apply(table.anchor_xy)
        frames = np.float32(self._since_detection)
        return np.asarray(table.anchor_xy + (table.velocity - table.own_motion) * frames, np.float32)

    def _settle(
        self,
        table: DescriptorTable,
        moved: FloatArray,
        place: FloatArray,
        pairs: Pairs,
        keypoints: Keypoints,
        passed: int,
    ) -> None:
        """Write what the matching found into the table."""
        frames = np.float32(self._since_detection)
        rows, found_xy = pairs.a, keypoints.xy[pairs.b]
        returning = table.states[rows] == TrackState.LOST
        # Lost tracks slow down to the global motion: what they did on their own is not known any more.
        own_motion = _LOST_DAMPING * table.own_motion
        own = table.own_motion[rows]
        own = own + _OWN_MOTION_GAIN * ((found_xy - moved[rows]) / frames - own)
        own_motion[rows] = np.where(returning[:, None], 0, own)
        new_xy = place.copy()
        new_xy[rows] = found_xy
        velocity = (place - table.anchor_xy) / frames
        velocity[rows] = np.where(
            returning[:, None], (moved - table.anchor_xy)[rows] / frames, velocity[rows]
        )
        table.own_motion, table.velocity = own_motion, velocity
        table.xy, table.anchor_xy = new_xy, new_xy.copy()
        table.seen[:] = False
        table.seen[rows] = True
        table.missed = np.where(table.seen, 0, table.missed + passed).astype(np.int32)
        table.streaks = np.where(table.seen, table.streaks + 1, 0).astype(np.int32)
        table.lengths[rows] += 1
        table.scores[rows] = keypoints.scores[pairs.b]
        table.learn_descriptors(rows, keypoints.descriptors[pairs.b], table.lengths[rows])
        table.change_states(self._config.confirm_after)

    def _end_old(self, table: DescriptorTable) -> None:
        self._bury(table, ~table.ended(self._config))

    def _bury(self, table: DescriptorTable, keep: NDArray[np.bool_]) -> None:
        self._ledger.bury(table.lengths[~keep & (table.states != TrackState.TENTATIVE)])
        table.keep(keep)

    def _start(self, table: DescriptorTable, keypoints: Keypoints, rows: IntArray) -> None:
        """Begin tracks on the best of the keypoints that nobody took, as far as there is room."""
        alive = int((table.states != TrackState.LOST).sum())
        rows = rows[: max(0, self._config.max_tracks - alive)]
        newborn = self._born(self._ledger.issue(len(rows)), keypoints.rows(rows))
        if self._config.confirm_after == 1:
            newborn.states[:] = TrackState.CONFIRMED
        table.append(newborn)

    def _born(self, ids: NDArray[np.int64], keypoints: Keypoints) -> DescriptorTable:
        return DescriptorTable.born(ids, keypoints, self._trail_length, anchor_xy=keypoints.xy.copy())
