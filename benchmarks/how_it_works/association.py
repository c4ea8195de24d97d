"""Association: tracks, keypoints of a detection, and births."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.how_it_works.choice import best_part, dimmed
from benchmarks.how_it_works.recording import Moment
from benchmarks.how_it_works.sheet import (
    GREEN,
    GREY,
    LEGEND_Y,
    PANEL_HEIGHT,
    PANEL_Y,
    YELLOW,
    Sheet,
    View,
)
from realtime_kp.tracking.matching import Pairs, distance_to_similarity, mutual_best, near_pairs, similarities

IntArray = NDArray[np.intp]

_SAME_POSITION_PX, _MATCH = 3.0, 0.7  # as in the tracker
_MATCHES, _BIRTHS = 26, 5  # to be shown


def draw_association(moments: Sequence[Moment]) -> Sheet:
    """Tracks, the keypoints of a detection, and which belong together.

    Args:
        moments: A run; the frame is taken that shows most births beside matches.
    """
    size_wh, zoom = (414, PANEL_HEIGHT), 2.2
    view_wh = (size_wh[0] / zoom, size_wh[1] / zoom)
    found = [(moment, pairs) for moment in moments if (pairs := _association(moment)) is not None]
    parts = [_telling_part(*one, view_wh) for one in found]
    number = int(np.argmax([score for _, score in parts]))
    (moment, pairs), (middle, _) = found[number], parts[number]
    views = [View((left, PANEL_Y), size_wh, middle, zoom) for left in (8, 478)]
    sheet = Sheet()
    for view, title in zip(
        views, ("Association: tracks in this frame", "keypoints of the new detection"), strict=True
    ):
        sheet.show(view, dimmed(moment.frame.image_bgr[..., ::-1]))
        sheet.text((view.corner_xy[0], 18), title, 15)
    _draw_association(sheet, views, moment, pairs)
    for x, colour, text in (
        (14, GREEN, "mutual match: confirms the track"),
        (290, YELLOW, "birth: a new track"),
        (460, GREY, "no partner"),
    ):
        sheet.ring((x, LEGEND_Y), 4.5, colour)
        sheet.text((x + 12, LEGEND_Y), text)
    return sheet


def _draw_association(sheet: Sheet, views: Sequence[View], moment: Moment, pairs: _Association) -> None:
    tracks, keypoints = moment.tracks, moment.keypoints
    old_xy = tracks.xy[pairs.track_rows]
    left, right = views
    rows = [r for r in range(len(pairs.matches)) if left.inside(old_xy[pairs.matches.a[[r]]], 6)[0]]
    matched = pairs.matches.where(np.isin(np.arange(len(pairs.matches)), rows))
    lines = zip(left.at(old_xy[matched.a]), right.at(keypoints.xy[matched.b]), strict=True)
    for start, end in lines:
        sheet.line([start, end], GREEN, 1)
    for xy, partners, view in ((old_xy, matched.a, left), (keypoints.xy, matched.b, right)):
        for row in np.flatnonzero(view.inside(xy, 6)).tolist():
            place, colour = view.at(xy[row])[0], GREEN if row in partners else GREY
            if view is left:
                sheet.dot(place, 3.5, colour)
            else:
                sheet.ring(place, 5, YELLOW if pairs.born[row] else colour, 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Association:
    """A detection and the tracks that were aligned in its frame.

    Attributes:
        track_rows: `(R,)`, rows of the tracks that existed before the detection and were seen.
        matches: Rows of these rows with rows of the keypoints.
        born: `(N,) bool`, keypoints on which tracks started.
    """

    track_rows: IntArray
    matches: Pairs
    born: NDArray[np.bool_]


def _association(moment: Moment) -> _Association | None:
    """Mutual matches by position and descriptor, as the tracker confirms tracks, and births."""
    predicted, tracks, keypoints = moment.predicted, moment.tracks, moment.keypoints
    if predicted is None:
        return None
    ids = np.intersect1d(predicted.ids, tracks.ids[tracks.seen])
    rows, descriptors = moment.rows(ids), predicted.descriptors[np.searchsorted(predicted.ids, ids)]
    pairs = near_pairs(tracks.xy[rows], keypoints.xy, _SAME_POSITION_PX)
    cosines = similarities(descriptors, keypoints.descriptors.astype(np.float32), pairs)
    matches = pairs.where(mutual_best(pairs, cosines) & (cosines >= distance_to_similarity(_MATCH)))
    new_xy = tracks.xy[~np.isin(tracks.ids, predicted.ids)]
    born = np.zeros(len(keypoints), np.bool_)
    born[near_pairs(new_xy, keypoints.xy, 0.1).b] = True
    return _Association(rows, matches, born)


def _telling_part(
    moment: Moment, pairs: _Association, view_wh: tuple[float, float]
) -> tuple[tuple[float, float], float]:
    """The part of the frame with most births, among those with some matches, and its score."""
    xy, matched = moment.keypoints.xy, np.zeros(len(moment.keypoints), np.bool_)
    matched[pairs.matches.b] = True

    def score(rows: IntArray) -> float:
        return float(min(_BIRTHS, pairs.born[rows].sum()) - abs(matched[rows].sum() - _MATCHES) / 4)

    middle = best_part(xy, score, view_wh, moment.frame.size_wh)
    return middle, score(np.flatnonzero((np.abs(xy - middle) <= np.array(view_wh) / 2).all(axis=1)))
