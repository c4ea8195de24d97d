"""Stages: alignment of the active tracks to their key patches, and adaptation of their affine maps."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.history import GreyFrame
from realtime_kp.tracking.stages.state import FloatArray, FrameState, IntArray, Mask, Memory

EDGE_PX = 3.0
MIN_CORRELATION = 0.8
_MAX_SHIFT_PX = 3.0
_ADAPT_EVERY = 12
_UNLIKE = 0.95
_MAX_TURN_FLAT, _MAX_TURN_IN_DEPTH = 0.15, 1.0


def align_to_key_patches(state: FrameState) -> None:
    """Align all active tracks, starting from their predicted positions."""
    rows = state.active_rows
    align_rows(state, rows, state.xy[rows], MIN_CORRELATION, _MAX_SHIFT_PX)


def adapt_affine_maps(state: FrameState) -> None:
    """Update affine maps by one Gauss–Newton step: of every twelfth track in turn.

    In a scene with depth, where surfaces turn away from the global motion, also those of all tracks that have
    become unlike their key patch.
    """
    rows = np.flatnonzero(state.found & ~state.flow_only & ~state.partial)
    due = np.zeros(len(rows), np.bool_)
    due[state.current.index % _ADAPT_EVERY :: _ADAPT_EVERY] = True
    if state.memory.has_structure:
        due |= state.correlation[rows] < _UNLIKE
    rows = rows[due]
    state.affine[rows] = state.memory.patches.adapt(
        state.current.values, state.table.slots[rows], state.xy[rows], state.affine[rows]
    )


def align_rows(
    state: FrameState, rows: IntArray, start_xy: FloatArray, min_correlation: float, max_shift_px: float
) -> FloatArray:
    """Align some tracks to their key patches; those that are accepted are marked as found.

    Args:
        state: Its `xy` and `found` are updated.
        rows: `(R,)`.
        start_xy: `(R, 2)`, where alignment starts, pixels.
        min_correlation: Smallest normalised cross-correlation with the key patch.
        max_shift_px: Largest distance from the start, per axis.

    Returns:
        `(R,)` normalised cross-correlation of each with its key patch.
    """
    if len(rows) == 0:
        return np.zeros(0, np.float32)
    slots, affine = state.table.slots[rows], state.affine[rows]
    xy, correlation = state.memory.patches.align(state.current.values, slots, start_xy, affine)
    good = accept(state.current, start_xy, xy, correlation, min_correlation, max_shift_px)
    state.xy[rows[good]] = xy[good]
    state.found[rows[good]] = True
    state.correlation[rows] = correlation
    return correlation


def align_rows_with_shape(
    state: FrameState, rows: IntArray, start_xy: FloatArray, min_correlation: float, max_shift_px: float
) -> None:
    """Align position and affine map of some tracks; those that are accepted are marked as found.

    Their surface may have turned or come nearer since the affine map was last adapted. Arguments are those of
    `align_rows`.
    """
    slots = state.table.slots[rows]
    xy, affine, correlation = state.memory.patches.align_with_shape(
        state.current.values, slots, start_xy, state.affine[rows], max_turn(state.memory)
    )
    good = accept(state.current, start_xy, xy, correlation, min_correlation, max_shift_px)
    rows = rows[good]
    state.xy[rows], state.affine[rows], state.found[rows] = xy[good], affine[good], True
    state.correlation[rows] = correlation[good]


def max_turn(memory: Memory) -> float:
    """How far an affine map may be from the predicted one: the motion of a flat scene predicts it well."""
    return _MAX_TURN_IN_DEPTH if memory.has_structure else _MAX_TURN_FLAT


def accept(
    frame: GreyFrame,
    start_xy: FloatArray,
    xy: FloatArray,
    correlation: FloatArray,
    min_correlation: float,
    max_shift_px: float,
) -> Mask:
    """Which alignments are accepted: similar to the key patch, inside the frame, near their start.

    Args:
        frame: The frame they lie in.
        start_xy: `(N, 2)`, where alignment started.
        xy: `(N, 2)`, where it ended.
        correlation: `(N,)`, normalised cross-correlation with the key patch.
        min_correlation: Smallest accepted value of it.
        max_shift_px: Largest accepted distance from the start, per axis.

    Returns:
        `(N,) bool`.
    """
    good = (correlation >= min_correlation) & frame.inside(xy, EDGE_PX)
    return np.asarray(good & (np.abs(xy - start_xy).max(axis=1, initial=0) <= max_shift_px))
