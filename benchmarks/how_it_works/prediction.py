"""Prediction: by a homography alone, and with the structure of the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.how_it_works.choice import best_part, spread
from benchmarks.how_it_works.recording import Moment
from benchmarks.how_it_works.sheet import (
    GREEN,
    GREY,
    LEGEND_Y,
    ORANGE,
    PANEL_HEIGHT,
    PANEL_Y,
    RED,
    WHITE,
    Colour,
    Sheet,
    View,
)
from realtime_kp.tracking.motion import estimate_motion
from realtime_kp.tracking.parallax import fit_motion

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]
Image = NDArray[np.uint8]

_APART_FRAMES, _LEAST_TRACKS, _LEAST_SHOWN = 8, 100, 30


def draw_prediction(moments: Sequence[Moment], picture: Callable[[Moment], Image]) -> Sheet:
    """Where a homography alone predicts tracks, and where homography and epipole do, over some frames.

    Both motions are fitted to all tracks that both frames show.

    Args:
        moments: A run through a scene with depth.
        picture: `(H, W, 3)`, RGB, to draw a frame on.

    Raises:
        ValueError: The run is too short for the structure of the scene to be known.
    """
    pairs = enumerate(zip(moments, moments[_APART_FRAMES:], strict=False))
    found = [(number, both) for number, pair in pairs if (both := _two_predictions(*pair)) is not None]
    if not found:
        raise ValueError("the structure of the scene was not found: more frames are needed")
    # An ordinary one, neither the best nor the worst.
    number, both = sorted(found, key=lambda one: float(np.median(one[1].flat_px)))[len(found) // 2]
    sheet, size_wh, zoom = Sheet(), (438, PANEL_HEIGHT), 1.5
    view_wh = (size_wh[0] / zoom, size_wh[1] / zoom)
    middle = best_part(both.after_xy, both.telling, view_wh, moments[0].frame.size_wh)
    view = View((8, PANEL_Y), size_wh, middle, zoom)
    rows = np.flatnonzero(np.all([view.inside(xy, 8) for xy in (both.before_xy, both.after_xy)], axis=0))
    rows = rows[spread(both.after_xy[rows], both.flat_px[rows], 24.0)]
    background = picture(moments[number + _APART_FRAMES])
    for left, title, colour, there_xy in (
        (8, "Prediction by one homography", ORANGE, both.flat_xy),
        (454, "by homography + epipole · inverse depth", GREEN, both.deep_xy),
    ):
        view = View((left, PANEL_Y), size_wh, middle, zoom)
        sheet.show(view, background)
        _draw_predictions(sheet, view, [xy[rows] for xy in (both.before_xy, there_xy, both.after_xy)], colour)
        gap_px = np.linalg.norm(there_xy - both.after_xy, axis=1)
        sheet.text((left, 18), title, 15, colour)
        sheet.text((left + size_wh[0], 18), f"median error {np.median(gap_px):.1f} px", 14, WHITE, "rm")
    sheet.dot((14, LEGEND_Y), 2.5, GREY)
    sheet.text((24, LEGEND_Y), "track in an earlier frame")
    sheet.arrow((212, LEGEND_Y), (238, LEGEND_Y), ORANGE)
    sheet.arrow((244, LEGEND_Y), (270, LEGEND_Y), GREEN)
    sheet.text((278, LEGEND_Y), f"predicted by the motion over {_APART_FRAMES} frames")
    sheet.ring((580, LEGEND_Y), 4.5, WHITE)
    sheet.text((591, LEGEND_Y), "where it was found")
    sheet.line([(752, LEGEND_Y), (778, LEGEND_Y)], RED, 2)
    sheet.text((786, LEGEND_Y), "error")
    return sheet


def _draw_predictions(sheet: Sheet, view: View, positions: Sequence[FloatArray], colour: Colour) -> None:
    for before, there, after in zip(*(view.at(xy) for xy in positions), strict=True):
        sheet.line([there, after], RED, 2)
        sheet.arrow(before, there, colour)
        sheet.dot(before, 2.5, GREY)
        sheet.ring(after, 4.5, WHITE)


@dataclass(frozen=True, slots=True, eq=False)
class _TwoPredictions:
    """Positions `(N, 2)` of tracks in a frame, in a later one, and as two motions predict them there."""

    before_xy: FloatArray
    after_xy: FloatArray
    flat_xy: FloatArray
    deep_xy: FloatArray
    inverse_depths: FloatArray

    def telling(self, rows: IntArray) -> float:
        """How much the depths of some tracks differ, and how far off a homography is there."""
        if len(rows) < _LEAST_SHOWN:
            return 0.0
        return float(self.inverse_depths[rows].std() * np.median(self.flat_px[rows]))

    @property
    def flat_px(self) -> FloatArray:
        """`(N,)`: how far off the homography alone is."""
        return np.asarray(np.linalg.norm(self.flat_xy - self.after_xy, axis=1))


def _two_predictions(first: Moment, later: Moment) -> _TwoPredictions | None:
    known = first.tracks.ids[first.placed & first.tracks.seen]
    ids = np.intersect1d(known, later.tracks.ids[later.tracks.seen & later.placed])
    if len(ids) < _LEAST_TRACKS:
        return None
    rows = first.rows(ids)
    before, depths, after = (
        first.tracks.xy[rows],
        first.inverse_depths[rows],
        later.tracks.xy[later.rows(ids)],
    )
    flat, deep = estimate_motion(before, after), fit_motion(before, after, depths)
    if flat is None or deep is None:
        return None
    return _TwoPredictions(before, after, flat.apply(before), deep.apply(before, depths), depths)
