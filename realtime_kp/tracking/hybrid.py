"""Tracks that are aligned in every frame and recognised by descriptor: the network finds, flow aligns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks, TrackState
from realtime_kp.tracking.advance import ALIKE_RETURNING, EDGE_PX, FrameStep, doubles, is_found
from realtime_kp.tracking.flow import follow, same_light
from realtime_kp.tracking.ledger import Ledger
from realtime_kp.tracking.matching import near_pairs, nearest
from realtime_kp.tracking.motion import GlobalMotion
from realtime_kp.tracking.observe import (
    SPACING_PX,
    Detection,
    confirm,
    places_to_start,
    recognise,
    recognised_motion,
    relocate,
)
from realtime_kp.tracking.patches import REACH_PX, PatchPool, cut_keys, sharpness
from realtime_kp.tracking.ring import Moment, Picture, Ring
from realtime_kp.tracking.table import AlignedTable

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

_OWN_MOTION_GAIN = 0.5
_START_EDGE_PX = REACH_PX
_MIN_SHARPNESS = 600.0
_MAX_DOUBTS = 3
_HIDDEN_FRAMES = 30
_CANDIDATES = 128
_SMALLEST_SHARE = 64
_RETURN_CATCH_PX = 3.0


class HybridMethod:
    """Aligns tracks in every frame, recognises lost ones in detections, starts new ones where there is room.

    Args:
        config: Thresholds and ages.
        ledger: Where ids come from.
        trail_length: How many past places each track remembers.
        recognise: Use descriptors; without them this is plain flow, and a track that is lost ends.
    """

    def __init__(self, config: TrackingConfig, ledger: Ledger, trail_length: int, *, recognise: bool) -> None:
        self._config = config
        self._ledger = ledger
        self._trail_length = trail_length
        self._recognise = recognise
        self._pool = PatchPool()
        self._ring = Ring(config.history)
        self._table: AlignedTable | None = None
        self._picture: Picture | None = None
        self._motion: GlobalMotion | None = None
        self._stranded_to = 0

    @property
    def known_lengths(self) -> NDArray[np.int32]:
        """Lengths of the living tracks that were ever confirmed."""
        return np.zeros(0, np.int32) if self._table is None else self._table.known_lengths

    def reset(self) -> None:
        """End all tracks and forget the frames."""
        if self._table is not None:
            self._end(self._table, np.ones(len(self._table), np.bool_))
        self._table = self._picture = self._motion = None
        self._ring.clear()

    def update(self, frame: Frame, keypoints: Keypoints | None, passed: int) -> Tracks:
        """Carry the tracks to a frame; see `Method`."""
        before, now = self._picture, Picture.of(frame)
        self._picture = now
        if self._table is None and keypoints is not None:
            none = Keypoints.empty(keypoints.descriptors.shape[1])
            self._table = AlignedTable.started(
                np.zeros(0, np.int64), none, np.zeros(0, np.intp), self._trail_length
            )
        table = self._table
        if table is None:
            self._ring.push(Moment.without_tracks(now))
            return Tracks.empty(self._trail_length)
        if before is not None and len(table):
            in_step = keypoints is not None and keypoints.frame_index in (None, now.index)
            self._advance(table, before, now, passed, keypoints if in_step else None)
        self._ring.push(Moment.of(now, table))
        if keypoints is not None:
            self._observe(table, now, keypoints)
        table.push_trails()
        return table.snapshot()

    def _advance(
        self, table: AlignedTable, before: Picture, now: Picture, passed: int, keypoints: Keypoints | None
    ) -> None:
        step = FrameStep(table, self._pool, before, now, passed)
        step.estimate(self._motion, lambda: self._recognised_motion(table, keypoints))
        step.predict()
        step.align()
        step.follow_rest()
        step.reject_lonely()
        if self._recognise:
            step.bring_back()
        step.reject_doubles()
        step.adapt()
        if step.broken:
            step.found[:] = False
            self._stranded_to = int(table.ids[-1])
        self._motion = step.motion
        self._settle(table, step, passed)

    def _recognised_motion(self, table: AlignedTable, keypoints: Keypoints | None) -> GlobalMotion | None:
        if keypoints is None or not self._recognise:
            return None
        return recognised_motion(table, keypoints, self._config)

    def _settle(self, table: AlignedTable, step: FrameStep, passed: int) -> None:
        """Write a step into the table."""
        frames = np.float32(passed)
        found, live = step.found[:, None], table.alive[:, None]
        own = table.own_motion + _OWN_MOTION_GAIN * ((step.xy - step.moved) / frames - table.own_motion)
        table.own_motion = np.where(found & live, own, 0).astype(np.float32)
        table.velocity = np.where(found & live, (step.xy - table.xy) / frames, 0).astype(np.float32)
        table.xy, table.affine = step.xy.astype(np.float32), step.affine.astype(np.float32)
        table.adrift = np.where(step.adrift, table.adrift + 1, 0).astype(np.int32)
        table.seen = step.found
        table.missed = np.where(table.seen, 0, table.missed + passed).astype(np.int32)
        table.streaks = np.where(table.seen, table.streaks + 1, 0).astype(np.int32)
        table.lengths = table.lengths + table.seen
        table.change_states(self._config.confirm_after)
        ended = table.ended(self._config) | step.double
        if not self._recognise:
            ended |= ~table.alive
        self._end(table, ended)

    def _observe(self, table: AlignedTable, now: Picture, keypoints: Keypoints) -> None:
        """Take in a detection, of this frame or of one before."""
        moment = self._ring.find(now.index if keypoints.frame_index is None else keypoints.frame_index)
        if moment is None:
            self._ledger.expired += 1
            return
        rows, then = moment.rows_of(table.ids)
        detection = Detection(keypoints, rows, moment.xy[then], moment.seen[then])
        agreeing, claimed = confirm(table, detection, self._config, by_descriptor=self._recognise)
        self._anchor_anew(table, now, agreeing)
        if self._recognise:
            self._relocate(table, moment, now, detection)
            pairs = recognise(table, detection, ~claimed, self._config, max(now.size_wh))
            self._bring_back(table, moment, now, pairs.a, keypoints.xy[pairs.b])
            # Only now: the rows of the detection are those of the table as it was.
            self._end(table, doubles(table.xy, table.seen) | (table.doubts >= _MAX_DOUBTS))
        self._start(table, moment, now, keypoints, ~claimed)

    def _anchor_anew(self, table: AlignedTable, now: Picture, agreeing: IntArray) -> None:
        """Give tracks that came to look different, but are still what they were, a new key patch."""
        rows = agreeing[(table.adrift[agreeing] > 0) & table.seen[agreeing]]
        if len(rows) == 0:
            return
        rows = rows[sharpness(now.values, table.xy[rows]) >= _MIN_SHARPNESS]
        self._pool.replace(table.slots[rows], cut_keys(now.values, table.xy[rows]))
        table.affine[rows] = np.eye(2, dtype=np.float32)
        table.adrift[rows] = 0

    def _relocate(self, table: AlignedTable, moment: Moment, now: Picture, detection: Detection) -> None:
        """After a cut or a jump, find out whether the keypoints show what was there before."""
        stranded = ~table.alive & (table.ids <= self._stranded_to)
        if not stranded.any():
            return
        asked = stranded[detection.rows]
        motion = relocate(table, detection, asked, self._config)
        if motion is None:
            return
        self._stranded_to = 0
        rows, places = detection.rows[asked], detection.xy[asked]
        table.affine[rows] = np.matmul(motion.jacobian(places), table.affine[rows])
        table.xy[rows] = motion.apply(places)
        self._bring_back(table, moment, now, rows, table.xy[rows])

    def _bring_back(
        self, table: AlignedTable, moment: Moment, now: Picture, rows: IntArray, then_xy: FloatArray
    ) -> None:
        """Let lost tracks return that look like themselves where they were recognised."""
        there, good = self._carry(table, moment, now, then_xy)
        rows, there = rows[good], there[good]
        if len(rows) == 0:
            return
        xy, alike = self._pool.align(now.values, table.slots[rows], there, table.affine[rows])
        good = is_found(now, there, xy, alike, ALIKE_RETURNING, _RETURN_CATCH_PX)
        rows = rows[good]
        table.xy[rows] = xy[good]
        table.states[rows] = TrackState.CONFIRMED
        table.seen[rows] = True
        table.missed[rows] = 0
        table.streaks[rows] = 1
        table.lengths[rows] += 1

    def _start(
        self,
        table: AlignedTable,
        moment: Moment,
        now: Picture,
        keypoints: Keypoints,
        free: NDArray[np.bool_],
    ) -> None:
        """Begin tracks on keypoints that nobody took, as far as there is room and something to hold on to."""
        # What is hidden now will want its place back, unless it was another view.
        hidden = ~table.alive & now.inside(table.xy, 0) & (table.ids > self._stranded_to)
        hidden &= table.missed <= _HIDDEN_FRAMES
        reserved = min(int(hidden.sum()), self._config.max_tracks // 4)
        room = self._config.max_tracks - int(table.alive.sum()) - reserved
        # A few at a time: looking for places costs more than starting there.
        if room < max(1, self._config.max_tracks // _SMALLEST_SHARE):
            return
        free = free & now.inside(keypoints.xy, _START_EDGE_PX)
        rows = places_to_start(keypoints, free, table.xy[table.alive], now.size_wh)
        if 2 * room < self._config.max_tracks:
            # What is left over mostly has nothing to hold on to: it is looked at in turn.
            turns = -(-len(rows) // _CANDIDATES)
            rows = rows[now.index % max(1, turns) :: max(1, turns)]
        there, good = self._carry(table, moment, now, keypoints.xy[rows])
        good &= now.inside(there, EDGE_PX)
        good[near_pairs(there, table.xy[table.seen], SPACING_PX).a] = False
        rows, there = rows[good], there[good]
        values = now.values if moment.index == now.index else moment.grey.astype(np.float32)
        sharp = np.flatnonzero(sharpness(values, keypoints.xy[rows]) >= _MIN_SHARPNESS)[:room]
        rows, there = rows[sharp], there[sharp]
        slots = self._pool.put(cut_keys(values, keypoints.xy[rows]))
        born = AlignedTable.started(
            self._ledger.issue(len(rows)), keypoints.rows(rows), slots, self._trail_length
        )
        born.xy = there.astype(np.float32)
        if self._config.confirm_after == 1:
            born.states[:] = TrackState.CONFIRMED
        table.append(born)

    def _carry(
        self, table: AlignedTable, moment: Moment, now: Picture, xy: FloatArray
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Take places of an earlier moment to this frame: by flow, guided by the nearest track of then."""
        if moment.index == now.index or len(xy) == 0:
            return xy, np.ones(len(xy), np.bool_)
        rows, then = moment.rows_of(table.ids)
        known = table.seen[rows] & moment.seen[then]
        guess = xy
        if known.any():
            then_xy = moment.xy[then[known]]
            shift = table.xy[rows[known]] - then_xy
            guess = xy + shift[nearest(xy, then_xy)]
        return follow(same_light(moment.grey, now.grey), now.grey, xy, guess)

    def _end(self, table: AlignedTable, ended: NDArray[np.bool_]) -> None:
        if ended.any():
            self._ledger.bury(table.lengths[ended & (table.states != TrackState.TENTATIVE)])
            self._pool.release(table.slots[ended])
            table.keep(~ended)
