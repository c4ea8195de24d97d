"""Stage: points of whose patch a part is visible only, beside something nearer or at the picture's border."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.patch_sampling import SIDE, positions_of_samples
from realtime_kp.tracking.stages.alignment import EDGE_PX, accept
from realtime_kp.tracking.stages.state import FloatArray, FrameState, IntArray, Mask

_SIMILAR = 0.35
_MIN_CORRELATION = 0.87
_MAX_SHIFT_PX = 1.5
_MIN_SHARE = 0.45
_MAX_TRACKS = 256
_OVERLAP = 1  # samples of the other half that belong to a half


def align_partly_visible(state: FrameState) -> None:
    """Align tracks that were not found, where the structure of the scene puts them, by a part of their patch.

    At the border of the picture that is the part inside; elsewhere the half, with the middle, that resembles
    its key patch most.
    """
    table, current = state.table, state.current
    if not state.memory.has_structure or state.motion is None:
        return
    asked = ~state.found & table.placed & (state.correlation >= _SIMILAR)
    rows = np.flatnonzero(asked & current.inside(state.xy, EDGE_PX))
    turns = max(1, -(-len(rows) // _MAX_TRACKS))
    rows = rows[current.index % turns :: turns]
    inside = _inside(state, rows)
    cut = ~inside.all(axis=1)
    _align(state, rows[cut], inside[cut].astype(np.float32))
    rows, halves = rows[~cut], _halves()
    chosen = state.memory.patches.most_similar_part(
        current.values, table.slots[rows], state.xy[rows], state.affine[rows], halves
    )
    _align(state, rows, halves[chosen])


def _align(state: FrameState, rows: IntArray, parts: FloatArray) -> None:
    enough = parts.mean(axis=1) >= _MIN_SHARE
    rows, parts = rows[enough], parts[enough]
    if len(rows) == 0:
        return
    start_xy = state.xy[rows]
    xy, correlation = state.memory.patches.align_parts(
        state.current.values, state.table.slots[rows], start_xy, state.affine[rows], parts
    )
    good = accept(state.current, start_xy, xy, correlation, _MIN_CORRELATION, _MAX_SHIFT_PX)
    rows = rows[good]
    state.xy[rows], state.correlation[rows] = xy[good], correlation[good]
    state.found[rows] = state.partial[rows] = True


def _inside(state: FrameState, rows: IntArray) -> Mask:
    """`(N, 121) bool`: which samples of patches lie inside the picture."""
    x, y = positions_of_samples(state.xy[rows], state.affine[rows])
    width, height = state.current.size_wh
    return np.asarray((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))


def _halves() -> FloatArray:
    """`(4, 121) float32`: left, right, upper and lower half."""
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1) - SIDE // 2
    sides = (x <= _OVERLAP, x >= -_OVERLAP, y <= _OVERLAP, y >= -_OVERLAP)
    return np.array(sides, np.float32)
