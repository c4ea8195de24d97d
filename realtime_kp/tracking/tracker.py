"""Keypoints in, tracks out: prediction, matching and the life cycle of the tracks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig, config_or_keywords
from realtime_kp.errors import ConfigError
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks, TrackState
from realtime_kp.tracking.assignment import assign, rounds
from realtime_kp.tracking.matching import Pairs, distance_to_similarity, mutual_nearest_neighbours
from realtime_kp.tracking.motion import GlobalMotion, estimate_motion
from realtime_kp.tracking.table import TrackTable

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

_MOTION_POINTS = 300
_OWN_MOTION_GAIN = 0.3
_LOST_DAMPING = 0.8
_DESCRIPTOR_MEMORY = 8


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


class Tracker:
    """Ties keypoints of successive frames into tracks by descriptor and predicted motion.

    Life cycle: tentative → confirmed (seen in `confirm_after` detections in a row) → lost (missed by a
    detection) → confirmed again, or ended (not seen for more than `max_age` frames). A tentative track that
    is missed ends at once. Ids start at 1 and are never used again.

    Keyword arguments are the fields of `TrackingConfig`, or give the whole `config`.

    Args:
        config: All settings at once.
        trail_length: How many past places each track remembers for drawing.

    Raises:
        ConfigError: An argument is unknown or impossible.
    """

    def __init__(
        self, config: TrackingConfig | None = None, *, trail_length: int = 20, **settings: Any
    ) -> None:
        self.config = config_or_keywords(TrackingConfig, config, settings, "Tracker")
        if trail_length < 1:
            raise ConfigError(f"trail_length must be at least 1, got {trail_length}")
        self._trail_length = trail_length
        self._next_id = 1
        self._table: TrackTable | None = None
        self._size_wh: tuple[int, int] | None = None
        self._since_detection = 0
        self._last_index: int | None = None
        self._ended_lengths: Counter[int] = Counter()

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Carry the tracks to a frame.

        Args:
            frame: The frame; another size than before ends all tracks.
            keypoints: What was found in it; None where nobody looked: the tracks are then predicted.

        Returns:
            All tracks alive after it, by ascending id.
        """
        if frame.size_wh != self._size_wh:
            self.reset()
            self._size_wh = frame.size_wh
        # Frames that were dropped before the tracker passed all the same: things moved on meanwhile.
        passed = max(1, frame.index - self._last_index) if self._last_index is not None else 1
        self._last_index = frame.index
        self._since_detection += passed
        if keypoints is None:
            return self._coast(passed)
        dim = keypoints.descriptors.shape[1]
        if self._table is None or len(self._table) == 0:
            self._table = TrackTable.born(np.zeros(0, np.int64), Keypoints.empty(dim), self._trail_length)
        known = self._table.descriptors.shape[1]
        if dim != known:
            if len(keypoints):
                raise ValueError(f"descriptors of {known} numbers were tracked so far, got some of {dim}")
            keypoints = Keypoints.empty(known)
        self._detect(self._table, keypoints, passed)
        self._since_detection = 0
        return self._table.snapshot()

    def reset(self) -> None:
        """End all tracks; ids go on."""
        if self._table is not None:
            self._bury(np.zeros(len(self._table), np.bool_))
        self._table = None

    @property
    def counts(self) -> TrackCounts:
        """What became of the tracks so far."""
        lengths = self._ended_lengths.copy()
        if self._table is not None:
            lengths.update(self._table.lengths[self._table.states != TrackState.TENTATIVE].tolist())
        total = lengths.total()
        if total == 0:
            return TrackCounts(self._next_id - 1, 0, 0.0, 0.0)
        mean = sum(length * count for length, count in lengths.items()) / total
        return TrackCounts(self._next_id - 1, total, mean, _median(lengths))

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

    def _detect(self, table: TrackTable, keypoints: Keypoints, passed: int) -> None:
        assert self._size_wh is not None
        motion = self._global_motion(table, keypoints)
        moved = self._move(table, motion)
        place = moved + table.own_motion * np.float32(self._since_detection)
        spread_px = None if motion is None else motion.spread_px
        pairs = assign(table, place, keypoints, rounds(self.config, max(self._size_wh), spread_px))
        self._settle(table, moved, place, pairs, keypoints, passed)
        self._end_old(table)
        free = np.ones(len(keypoints), np.bool_)
        free[pairs.b] = False
        self._start(table, keypoints, np.flatnonzero(free))
        table.push_trails()

    def _global_motion(self, table: TrackTable, keypoints: Keypoints) -> GlobalMotion | None:
        """What most tracks and keypoints agree on, matched by descriptor alone."""
        known = np.flatnonzero(table.states != TrackState.LOST)
        if len(known) > _MOTION_POINTS:
            known = known[np.argpartition(-table.scores[known], _MOTION_POINTS)[:_MOTION_POINTS]]
        pairs = mutual_nearest_neighbours(
            table.descriptors[known],
            keypoints.descriptors[:_MOTION_POINTS].astype(np.float32, copy=False),
            distance_to_similarity(self.config.match_threshold),
        )
        return estimate_motion(table.anchor_xy[known[pairs.a]], keypoints.xy[pairs.b])

    def _move(self, table: TrackTable, motion: GlobalMotion | None) -> FloatArray:
        """Where the global motion alone takes the tracks; without one they go on as they went."""
        if motion is not None:
            return motion.apply(table.anchor_xy)
        frames = np.float32(self._since_detection)
        return np.asarray(table.anchor_xy + (table.velocity - table.own_motion) * frames, np.float32)

    def _settle(
        self,
        table: TrackTable,
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
        self._update_descriptors(table, rows, keypoints.descriptors[pairs.b])
        self._change_states(table)

    def _update_descriptors(self, table: TrackTable, rows: IntArray, found: NDArray[np.floating]) -> None:
        weight = 1 / np.minimum(table.lengths[rows], _DESCRIPTOR_MEMORY).astype(np.float32)[:, None]
        mean = table.descriptors[rows] * (1 - weight) + found.astype(np.float32) * weight
        norm = np.linalg.norm(mean, axis=1, keepdims=True)
        table.descriptors[rows] = mean / np.maximum(norm, 1e-6)

    def _change_states(self, table: TrackTable) -> None:
        tentative = table.states == TrackState.TENTATIVE
        confirmed = table.seen & (~tentative | (table.streaks >= self.config.confirm_after))
        table.states[confirmed] = TrackState.CONFIRMED
        table.states[~table.seen & ~tentative] = TrackState.LOST

    def _end_old(self, table: TrackTable) -> None:
        lost = table.states == TrackState.LOST
        ended = lost & (table.missed > self.config.max_age)
        ended |= (table.states == TrackState.TENTATIVE) & (table.streaks == 0)
        remaining = np.flatnonzero(lost & ~ended)
        excess = len(remaining) - self.config.max_lost
        if excess > 0:
            longest = np.argsort(-table.missed[remaining], kind="stable")[:excess]
            ended[remaining[longest]] = True
        self._bury(~ended)

    def _bury(self, keep: NDArray[np.bool_]) -> None:
        table = self._table
        assert table is not None
        gone = ~keep & (table.states != TrackState.TENTATIVE)
        self._ended_lengths.update(table.lengths[gone].tolist())
        table.keep(keep)

    def _start(self, table: TrackTable, keypoints: Keypoints, rows: IntArray) -> None:
        """Begin tracks on the best of the keypoints that nobody took, as far as there is room."""
        alive = int((table.states != TrackState.LOST).sum())
        rows = rows[: max(0, self.config.max_tracks - alive)]
        ids = np.arange(self._next_id, self._next_id + len(rows), dtype=np.int64)
        self._next_id += len(rows)
        chosen = Keypoints(keypoints.xy[rows], keypoints.scores[rows], keypoints.descriptors[rows])
        newborn = TrackTable.born(ids, chosen, self._trail_length)
        if self.config.confirm_after == 1:
            newborn.states[:] = TrackState.CONFIRMED
        table.append(newborn)


def _median(lengths: Counter[int]) -> float:
    """The median of values that are given with how often each occurs."""
    values = sorted(lengths)
    reached = np.cumsum([lengths[value] for value in values])
    middle = (int(reached[-1]) - 1) // 2, int(reached[-1]) // 2
    lower, upper = (values[int(np.searchsorted(reached, rank, side="right"))] for rank in middle)
    return (lower + upper) / 2
