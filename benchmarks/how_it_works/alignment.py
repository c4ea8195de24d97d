"""Alignment: key patches, and what the picture shows at the places of their tracks before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.how_it_works.choice import spread
from benchmarks.how_it_works.recording import Moment
from benchmarks.how_it_works.sheet import (
    GREEN,
    ORANGE,
    PANEL_Y,
    WHITE,
    YELLOW,
    Colour,
    Sheet,
    View,
)
from realtime_kp.tracking.history import GreyFrame
from realtime_kp.tracking.key_patches import cross_correlation
from realtime_kp.tracking.patch_sampling import SIDE, sample

FloatArray = NDArray[np.float32]

_PATCH_PX = 94
_LEAST_LENGTH, _BORDER_PX, _ALIKE, _FAR_APART_PX = 6, 25, 0.95, 90.0


def draw_alignment(moments: Sequence[Moment]) -> Sheet:
    """Key patches of three tracks, and the patches at their places before and after alignment.

    Args:
        moments: A run; the frame is taken in which three tracks were predicted worst, and found.

    Raises:
        ValueError: There is no such frame.
    """
    aligned = [_three_aligned(moment) for moment in moments]
    gains = [0 if one is None else np.diff(one.correlations, axis=1).min() for one in aligned]
    number = int(np.argmax(gains))
    three = aligned[number]
    if three is None:
        raise ValueError("no three tracks were predicted badly enough to be shown: more frames are needed")
    sheet, moment = Sheet(), moments[number]
    view = View((8, PANEL_Y), (272, 204), (319.5, 239.5), 0.425)
    sheet.show(view, moment.frame.image_bgr[..., ::-1])
    sheet.text((8, 18), "Alignment of three tracks", 15)
    lines = (
        "Each patch is shifted until it is",
        "like the key patch, cut at birth.",
        "NCC: normalised cross-correlation",
    )
    for number, line in enumerate(lines):
        sheet.text((8, 262 + 22 * number), line)
    for column, title in enumerate(("key patch", "predicted", "difference", "aligned", "difference")):
        sheet.text((_column(column) + _PATCH_PX / 2, 18), title, 14, WHITE, "mm")
    for row, place in enumerate(view.at(three.xy)):
        _draw_alignment(sheet, three, row, (ORANGE, GREEN, YELLOW)[row])
        sheet.frame((place[0] - 6, place[1] - 6), (12, 12), (ORANGE, GREEN, YELLOW)[row], 2)
    return sheet


def _draw_alignment(sheet: Sheet, three: _Aligned, row: int, colour: Colour) -> None:
    top, middle = PANEL_Y + row * (_PATCH_PX + 8), _PATCH_PX / 2
    for column, values in enumerate(three.patches[row]):
        left = _column(column)
        sheet.patch((left, top), _PATCH_PX, values)
        sheet.line([(left + middle - 5, top + middle), (left + middle + 5, top + middle)], colour, 1)
        sheet.line([(left + middle, top + middle - 5), (left + middle, top + middle + 5)], colour, 1)
    sheet.frame((_column(0), top), (_PATCH_PX, _PATCH_PX), colour, 2)
    before, after = three.correlations[row]
    lines = (f"shift {three.shift_px[row]:.1f} px", f"NCC {before:.2f}", f"to {after:.2f}")
    for number, line in enumerate(lines):
        sheet.text((_column(5), top + 26 + 22 * number), line, 14, colour if number == 0 else WHITE)


@dataclass(frozen=True, slots=True, eq=False)
class _Aligned:
    """Tracks in a frame, before and after their alignment.

    Attributes:
        xy: `(N, 2)`, where they were found.
        shift_px: `(N,)`, how far that is from where they were predicted.
        patches: `(N, 5, 11, 11)`: key patch, predicted patch, its difference, aligned patch, its difference.
        correlations: `(N, 2)`, with the key patch, before and after.
    """

    xy: FloatArray
    shift_px: FloatArray
    patches: FloatArray
    correlations: FloatArray


def _three_aligned(moment: Moment) -> _Aligned | None:
    """The three tracks of a frame that gained most by alignment, some way apart."""
    predicted, tracks = moment.predicted, moment.tracks
    if predicted is None:
        return None
    old = tracks.ids[tracks.seen & (tracks.lengths >= _LEAST_LENGTH)]
    ids = np.intersect1d(predicted.ids[predicted.seen], old)
    rows = np.searchsorted(predicted.ids, ids)
    start, affine, keys = predicted.xy[rows], predicted.affine[rows], predicted.keys[rows]
    xy, values = tracks.xy[moment.rows(ids)], GreyFrame.of(moment.frame).values
    before, after = sample(values, start, affine), sample(values, xy, affine)
    correlations = np.stack([cross_correlation(patch, keys) for patch in (before, after)], axis=1)
    far = np.array(moment.frame.size_wh) - _BORDER_PX
    shown = np.flatnonzero((correlations[:, 1] > _ALIKE) & ((xy > _BORDER_PX) & (xy < far)).all(axis=1))
    shown = shown[spread(xy[shown], np.diff(correlations[shown], axis=1)[:, 0], _FAR_APART_PX)][:3]
    if len(shown) < 3:
        return None
    key, before, after = (_normal(patch[shown]) for patch in (keys, before, after))
    patches = np.stack([key, before, before - key, after, after - key], axis=1).reshape(3, 5, SIDE, SIDE)
    shift_px = np.linalg.norm(xy[shown] - start[shown], axis=1)
    return _Aligned(xy[shown], shift_px, patches, correlations[shown])


def _normal(patches: FloatArray) -> FloatArray:
    """Patches `(N, 121)` of zero mean and of a spread that fills grey values."""
    centred = patches - patches.mean(axis=1, keepdims=True)
    return np.asarray(centred / (2 * centred.std(axis=1, keepdims=True)), np.float32)


def _column(number: int) -> int:
    """Left edge of a column of patches on the sheet, pixels."""
    return 298 + number * (_PATCH_PX + 8) + (12 if number >= 1 else 0)
