"""Return: tracks before, while and after something hides them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.how_it_works.choice import spread
from benchmarks.how_it_works.recording import Moment
from benchmarks.how_it_works.sheet import (
    BLACK,
    COLOURS,
    GREY,
    LEGEND_Y,
    PANEL_HEIGHT,
    PANEL_Y,
    WHITE,
    Sheet,
    View,
)
from realtime_kp.keypoints import Tracks

FloatArray = NDArray[np.float32]
Image = NDArray[np.uint8]

_GAP_FRAMES, _LARGER, _SPACING_PX = 8, 4, 26.0


def draw_return(moments: Sequence[Moment], picture: Callable[[Moment], Image]) -> Sheet:
    """Tracks before something hides them, while they are hidden, and afterwards.

    Args:
        moments: A run; the frame is taken that hides most of the tracks seen some frames before and after.
        picture: `(H, W, 3)`, RGB, to draw a frame on.

    Raises:
        ValueError: No track came back.
    """
    trios = [
        _hidden_ids(*trio)
        for trio in zip(moments, moments[_GAP_FRAMES:], moments[2 * _GAP_FRAMES :], strict=False)
    ]
    first = int(np.argmax([back.sum() for _, back in trios])) if trios else 0
    if not trios or not trios[first][1].any():
        raise ValueError("no hidden track came back: more frames are needed")
    ids, back = trios[first]
    sheet, size_wh, zoom = Sheet(), (290, PANEL_HEIGHT), 1.25
    numbers = [first + step * _GAP_FRAMES for step in range(3)]
    middle = moments[numbers[1]]
    centre = np.median(middle.tracks.xy[middle.rows(ids)], axis=0)
    shown = np.sort(ids[spread(middle.tracks.xy[middle.rows(ids)], np.zeros(len(ids)), _SPACING_PX)])
    titles = ("Return: before", "hidden: prediction", f"re-identification: {back.sum()} of {len(ids)}")
    for left, number, title in zip((8, 305, 602), numbers, titles, strict=True):
        view = View((left, PANEL_Y), size_wh, (float(centre[0]), float(centre[1])), zoom)
        sheet.show(view, picture(moments[number]))
        sheet.text((left, 18), title, 15)
        if number > first:
            sheet.text((left + size_wh[0], 18), f"+{number - first} frames", 14, GREY, "rm")
        _draw_hidden(sheet, view, moments[number].tracks, shown)
    gaps_px = _return_gaps_px(moments[numbers[1] : numbers[2] + 1], ids)
    sheet.dot((14, LEGEND_Y), 4, WHITE)
    sheet.text((24, LEGEND_Y), "seen")
    sheet.ring((82, LEGEND_Y), 6, WHITE)
    sheet.text((94, LEGEND_Y), f"predicted, 2 sigma (drawn {_LARGER} times as large)")
    sheet.text((446, LEGEND_Y), "same colour: same track")
    sheet.text(
        (892, LEGEND_Y), f"found {np.median(gaps_px):.1f} px from the prediction (median)", anchor="rm"
    )
    return sheet


def _draw_hidden(sheet: Sheet, view: View, tracks: Tracks, ids: NDArray[np.int64]) -> None:
    """Draw tracks that exist in a frame: dots where they are seen, rings where they are predicted."""
    shown = np.isin(tracks.ids, ids) & view.inside(tracks.xy, 12)
    for row in np.flatnonzero(shown).tolist():
        number = int(np.searchsorted(ids, tracks.ids[row]))
        place, colour = view.at(tracks.xy[row])[0], COLOURS[number % len(COLOURS)]
        if tracks.seen[row]:
            sheet.dot(place, 4.5, colour)
        else:
            radius_px = max(3.0, float(2 * tracks.sigma_px[row] * view.zoom * _LARGER))
            sheet.ring(place, radius_px + 1, BLACK, 3.5)
            sheet.ring(place, radius_px, colour, 2)


def _return_gaps_px(moments: Sequence[Moment], ids: NDArray[np.int64]) -> FloatArray:
    """How far from their predictions hidden tracks were, in the frames in which they were seen again."""
    gaps, missing = [np.zeros(0, np.float32)], ids
    for moment in moments:
        predicted, tracks = moment.predicted, moment.tracks
        now = np.intersect1d(missing, tracks.ids[tracks.seen])
        if predicted is not None and len(now):
            expected = predicted.xy[np.searchsorted(predicted.ids, now)]
            gaps.append(np.linalg.norm(tracks.xy[moment.rows(now)] - expected, axis=1))
        missing = np.setdiff1d(missing, now)
    return np.concatenate(gaps)


def _hidden_ids(
    before: Moment, between: Moment, after: Moment
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Tracks `(N,)` that are seen first and hidden between; and `(N,) bool`, which are back after."""
    width, height = between.frame.size_wh
    inside = ((between.tracks.xy > 20) & (between.tracks.xy < (width - 20, height - 20))).all(axis=1)
    hidden = between.tracks.ids[~between.tracks.seen & inside & between.placed]
    ids = np.intersect1d(before.tracks.ids[before.tracks.seen & before.placed], hidden)
    return ids, np.isin(ids, after.tracks.ids[after.tracks.seen])
