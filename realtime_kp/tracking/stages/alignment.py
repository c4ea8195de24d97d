"""Stages: alignment of the active tracks to their key patches, and adaptation of their affine maps."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.history import GreyFrame
from realtime_kp.tracking.stages.state import FloatArray, FrameState, IntArray, Mask

EDGE_PX = 3.0
MIN_CORRELATION = 0.8
_MAX_SHIFT_PX = 3.0
_ADAPT_EVERY = 12


def align_to_key_patches(state: FrameState) -> None:
    """Align all active tracks, starting from their predicted positions."""
    rows = state.active_rows
    align_rows(state, rows, state.xy[rows], MIN_CORRELATION, _MAX_SHIFT_PX)


def adapt_affine_maps(state: FrameState) -> None:
    """Update the affine maps of every twelfth track, in turn, by one Gauss–Newton step."""
    rows = np.flatnonzero(state.found & ~state.flow_only)
    rows = rows[state.current.index % _ADAPT_EVERY :: _ADAPT_EVERY]
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
    return correlation


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
