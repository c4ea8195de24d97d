"""The step of all tracks from one frame to the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.assignment import moving_together
from realtime_kp.tracking.flow import coarse_flow, follow, same_light
from realtime_kp.tracking.matching import near_pairs
from realtime_kp.tracking.motion import STILL, GlobalMotion, estimate_motion, refit
from realtime_kp.tracking.patches import PatchPool, likeness, sample
from realtime_kp.tracking.ring import Picture
from realtime_kp.tracking.table import AlignedTable

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]
Grey = NDArray[np.uint8]
Flow = Callable[[Grey, Grey, FloatArray, FloatArray], tuple[FloatArray, NDArray[np.bool_]]]

EDGE_PX = 3.0
_LEAVING_PX = 6.0
DOUBLE_PX = 2.0
ALIKE = 0.8
ALIKE_RETURNING = 0.9
_ALIKE_FLOWED = 0.7
_ALIKE_ADRIFT = 0.5
_ALIKE_FROM_FRAME_TO_FRAME = 0.9
_MAX_ADRIFT = 5
_CATCH_PX = 3.0
_CATCH_FLOWED_PX = 1.5
_CATCH_RETURNING_PX = 2.5
_LONELY_PX = 2.0
_FELLOW_REACH_PX = 64.0
_OWN_MOTION_FROM_PX = 1.0
_MOTION_POINTS = 64
_MIN_MOTION_POINTS = 8
_MOTION_SHARE = 0.5
_BROKEN_SHARE = 0.2
_ADAPT_EVERY = 12
_MAX_RETURNING = 512


class FrameStep:
    """Where the tracks of a table are in the next frame; each method is one stage, in this order.

    Attributes:
        motion: What the whole picture did; None where nothing tells.
        moved: `(M, 2)`, where the global motion alone takes each track.
        xy: `(M, 2)`, where each track is.
        affine: `(M, 2, 2)`, from its key patch to the new frame.
        found: `(M,) bool`, aligned in the new frame.
        adrift: `(M,) bool`, carried by flow alone.
        double: `(M,) bool`, on the place of an older track.
    """

    def __init__(
        self, table: AlignedTable, pool: PatchPool, before: Picture, after: Picture, passed: int
    ) -> None:
        self._table = table
        self._pool = pool
        self._after = after
        self._values = after.values
        self._before_grey = same_light(before.grey, after.grey)
        self._passed = np.float32(passed)
        self._live = np.flatnonzero(table.alive)
        self.motion: GlobalMotion | None = None
        self.moved = self.xy = table.xy
        self.affine = table.affine
        self.found = np.zeros(len(table), np.bool_)
        self.adrift = np.zeros(len(table), np.bool_)
        self.double = np.zeros(len(table), np.bool_)

    def estimate(self, last: GlobalMotion | None, recognised: Callable[[], GlobalMotion | None]) -> None:
        """Find the global motion: the first guess that most tracks of a sample are found with, or the best.

        Args:
            last: That of the step before; mostly it goes on like that, more or less.
            recognised: Tells it by descriptors, where the frame has keypoints.
        """
        step = max(1, len(self._live) // _MOTION_POINTS)
        rows = self._live[self._after.index % step :: step]
        if len(rows) < _MIN_MOTION_POINTS:
            return
        best_share = 0.0
        guesses: tuple[Callable[[], GlobalMotion | None], ...] = (
            lambda: STILL if last is None else last,
            partial(self._flow_motion, coarse_flow, rows, last),
            partial(self._flow_motion, follow, rows, last),
            recognised,
        )
        for guess in guesses:
            motion, share = self._verified(rows, guess())
            if motion is not None and share > best_share:
                self.motion, best_share = motion, share
            if best_share >= _MOTION_SHARE:
                return

    def _flow_motion(self, flow: Flow, rows: IntArray, last: GlobalMotion | None) -> GlobalMotion | None:
        xy = self._table.xy[rows]
        guess = xy if last is None else last.apply(xy)
        there, good = flow(self._before_grey, self._after.grey, xy, guess)
        return estimate_motion(xy[good], there[good])

    def _verified(self, rows: IntArray, motion: GlobalMotion | None) -> tuple[GlobalMotion | None, float]:
        """The motion that rows make that are found about where a guess takes them, and their share."""
        if motion is None:
            return None, 0.0
        xy = self._table.xy[rows]
        affine = np.matmul(motion.jacobian(xy), self._table.affine[rows])
        start = motion.apply(xy)
        there, alike = self._pool.align(self._values, self._table.slots[rows], start, affine)
        good = (alike >= ALIKE) & (np.abs(there - start).max(axis=1) <= _CATCH_PX)
        return estimate_motion(xy[good], there[good]), float(good.mean())

    @property
    def broken(self) -> bool:
        """Whether so few tracks were found that this must be another view: a cut, a jump, darkness."""
        return len(self._live) > 0 and self.found[self._live].mean() < _BROKEN_SHARE

    def predict(self) -> None:
        """Where the tracks should be: with the global motion, live ones with their own motion as well."""
        table = self._table
        if self.motion is None:
            self.moved = table.xy
            self.xy = table.xy + table.velocity * self._passed
            return
        self.moved = self.motion.apply(table.xy)
        self.affine = np.matmul(self.motion.jacobian(table.xy), table.affine)
        own = table.own_motion * self._passed
        noticeable = np.abs(own).max(axis=1, initial=0) > _OWN_MOTION_FROM_PX
        self.xy = self.moved + np.where(noticeable[:, None], own, 0)

    def align(self) -> None:
        """Align the live tracks, from where they should be."""
        rows = self._live
        self._accept(rows, self.xy[rows], ALIKE, _CATCH_PX)

    def follow_rest(self) -> None:
        """Follow what was not found there by flow, and align it from where that leads.

        A track that has come to look different goes on by flow alone for a few frames, if it changes
        slowly: what slides along the border of something in front changes fast.
        """
        table = self._table
        rows = self._live[~self.found[self._live]]
        rows = rows[self._after.inside(self.xy[rows], _LEAVING_PX)]
        there, good = follow(self._before_grey, self._after.grey, table.xy[rows], self.xy[rows])
        rows, there = rows[good], there[good]
        alike = self._accept(rows, there, _ALIKE_FLOWED, _CATCH_FLOWED_PX)
        slow = ~self.found[rows] & (alike >= _ALIKE_ADRIFT) & (table.adrift[rows] < _MAX_ADRIFT)
        slow &= self._after.inside(there, EDGE_PX)
        rows, there = rows[slow], there[slow]
        before = sample(self._before_grey.astype(np.float32), table.xy[rows], table.affine[rows])
        same = likeness(before, sample(self._values, there, self.affine[rows])) >= _ALIKE_FROM_FRAME_TO_FRAME
        self.xy[rows[same]] = there[same]
        self.found[rows[same]] = self.adrift[rows[same]] = True

    def reject_lonely(self) -> None:
        """A track that leaves the global motion alone has mostly slid off; several alike are an object."""
        if self.motion is None:
            return
        off = self.xy - self.moved
        deviant = np.flatnonzero(self.found & (np.abs(off).max(axis=1, initial=0) > _LONELY_PX))
        together = moving_together(self.xy[deviant], off[deviant], _FELLOW_REACH_PX)
        self.found[deviant[~together]] = False

    def bring_back(self) -> None:
        """Look for lost tracks where the motion of all the others takes them."""
        table = self._table
        lost = np.flatnonzero(~table.alive)
        if self.motion is not None:
            rows = np.flatnonzero(self.found)
            self.motion = refit(self.motion, table.xy[rows], self.xy[rows])
            self.moved[lost] = self.xy[lost] = self.motion.apply(table.xy[lost])
            self.affine[lost] = np.matmul(self.motion.jacobian(table.xy[lost]), table.affine[lost])
        else:
            self.xy[lost] = table.xy[lost]
        rows = lost[self._after.inside(self.xy[lost], EDGE_PX)]
        if len(rows) > _MAX_RETURNING:
            rows = np.sort(rows[np.argsort(table.missed[rows], kind="stable")[:_MAX_RETURNING]])
        self._accept(rows, self.xy[rows], ALIKE_RETURNING, _CATCH_RETURNING_PX)

    def reject_doubles(self) -> None:
        """Of two tracks on one point the younger ends."""
        self.double = doubles(self.xy, self.found)
        self.found &= ~self.double

    def adapt(self) -> None:
        """Let the affine maps of some of the tracks follow what the picture shows, in turn."""
        rows = np.flatnonzero(self.found & ~self.adrift)
        rows = rows[self._after.index % _ADAPT_EVERY :: _ADAPT_EVERY]
        self.affine[rows] = self._pool.adapt(
            self._values, self._table.slots[rows], self.xy[rows], self.affine[rows]
        )

    def _accept(self, rows: IntArray, start_xy: FloatArray, alike: float, catch_px: float) -> FloatArray:
        """Align rows from a place and note those that are found; says how like its key each is."""
        if len(rows) == 0:
            return np.zeros(0, np.float32)
        slots, affine = self._table.slots[rows], self.affine[rows]
        xy, alike_key = self._pool.align(self._values, slots, start_xy, affine)
        good = is_found(self._after, start_xy, xy, alike_key, alike, catch_px)
        self.xy[rows[good]] = xy[good]
        self.found[rows[good]] = True
        return alike_key


def is_found(
    picture: Picture,
    start_xy: FloatArray,
    xy: FloatArray,
    likeness_to_key: FloatArray,
    alike: float,
    catch_px: float,
) -> NDArray[np.bool_]:
    """`(N,) bool`: which alignments look enough like their key, inside the picture, near where they began."""
    good = (likeness_to_key >= alike) & picture.inside(xy, EDGE_PX)
    return np.asarray(good & (np.abs(xy - start_xy).max(axis=1, initial=0) <= catch_px))


def doubles(xy: FloatArray, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`(M,) bool`: which of the found tracks lie on an older one; rows are in the order of age."""
    rows = np.flatnonzero(found)
    pairs = near_pairs(xy[rows], xy[rows], DOUBLE_PX)
    double = np.zeros(len(xy), np.bool_)
    double[rows[pairs.b[pairs.a < pairs.b]]] = True
    return double
