"""Stage: the global motion from the previous frame to the current one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.motion import STILL, GlobalMotion, estimate_motion, refit
from realtime_kp.tracking.optical_flow import coarse_flow, follow
from realtime_kp.tracking.parallax import fit_motion
from realtime_kp.tracking.stages.alignment import MIN_CORRELATION
from realtime_kp.tracking.stages.relocation import motion_by_descriptors
from realtime_kp.tracking.stages.state import FloatArray, FrameState, IntArray

Grey = NDArray[np.uint8]
Flow = Callable[[Grey, Grey, FloatArray, FloatArray], tuple[FloatArray, NDArray[np.bool_]]]

_SAMPLE_TRACKS = 64
_MIN_TRACKS = 8
_SUFFICIENT_SHARE = 0.5
_MAX_SHIFT_PX = 3.0


def estimate_global_motion(state: FrameState) -> None:
    """Estimate the global motion from a sample of the tracks.

    Hypotheses are tried from cheap to expensive: the motion of the last frame, coarse optical flow, optical
    flow with a forward-backward check, and matched descriptors. Each is verified by aligning the sample to
    its key patches at the predicted positions; the first one with which half of the sample is found is taken,
    else the best.
    """
    step = max(1, len(state.active_rows) // _SAMPLE_TRACKS)
    rows = state.active_rows[state.current.index % step :: step]
    if len(rows) < _MIN_TRACKS:
        return
    last = state.memory.motion
    hypotheses: tuple[Callable[[], GlobalMotion | None], ...] = (
        lambda: STILL if last is None else last,
        partial(_motion_by_flow, state, coarse_flow, rows, last),
        partial(_motion_by_flow, state, follow, rows, last),
        partial(_motion_by_descriptors, state),
    )
    best_share = 0.0
    for hypothesis in hypotheses:
        motion, share = _verify(state, rows, hypothesis())
        if motion is not None and share > best_share:
            state.motion, best_share = motion, share
        if best_share >= _SUFFICIENT_SHARE:
            return


def refine_global_motion(state: FrameState) -> None:
    """Refine the global motion with all tracks found so far."""
    if state.motion is None or not state.memory.use_descriptors:
        return
    rows = np.flatnonzero(state.found)
    if state.motion.epipole is None:
        state.motion = refit(state.motion, state.table.xy[rows], state.xy[rows])
        return
    refined = _with_parallax(state, rows, state.xy[rows], state.motion)
    if refined is not None:
        state.motion = refined


def _estimate(
    state: FrameState, rows: IntArray, there: FloatArray, start: GlobalMotion | None
) -> GlobalMotion | None:
    """The motion that brought some tracks to new positions, with parallax where depths are known."""
    if state.memory.has_structure:
        motion = _with_parallax(state, rows, there, start)
        if motion is not None:
            return motion
    return estimate_motion(state.table.xy[rows], there, lens=state.lens)


def _with_parallax(
    state: FrameState, rows: IntArray, there: FloatArray, start: GlobalMotion | None
) -> GlobalMotion | None:
    table = state.table
    placed = table.placed[rows]
    if placed.sum() < _SUFFICIENT_SHARE * len(rows):
        placed[:] = True
    rows, there = rows[placed], there[placed]
    if start is not None and start.epipole is None:
        start = None
    return fit_motion(table.xy[rows], there, table.inverse_depths[rows], start, state.lens)


def _motion_by_flow(
    state: FrameState, flow: Flow, rows: IntArray, last: GlobalMotion | None
) -> GlobalMotion | None:
    xy = state.table.xy[rows]
    guess = xy if last is None else last.apply(xy, state.table.inverse_depths[rows])
    there, good = flow(state.previous_grey, state.current.grey, xy, guess)
    return _estimate(state, rows[good], there[good], None)


def _motion_by_descriptors(state: FrameState) -> GlobalMotion | None:
    keypoints = state.keypoints_of_current_frame
    if keypoints is None or not state.memory.use_descriptors:
        return None
    rows = np.flatnonzero(state.table.active)
    return motion_by_descriptors(
        state.table, rows, state.table.xy[rows], keypoints, state.memory.config, lens=state.lens
    )


def _verify(
    state: FrameState, rows: IntArray, motion: GlobalMotion | None
) -> tuple[GlobalMotion | None, float]:
    """Align a sample at the positions that a hypothesis predicts.

    Returns:
        The motion of the tracks that were found there, and their share of the sample.
    """
    if motion is None:
        return None, 0.0
    xy, depths = state.table.xy[rows], state.table.inverse_depths[rows]
    jacobian = motion.jacobian(xy, depths, state.table.depth_slopes[rows])
    affine = np.matmul(jacobian, state.table.affine[rows])
    start = motion.apply(xy, depths)
    there, correlation = state.memory.patches.align(
        state.current.values, state.table.slots[rows], start, affine
    )
    good = (correlation >= MIN_CORRELATION) & (np.abs(there - start).max(axis=1) <= _MAX_SHIFT_PX)
    return _estimate(state, rows[good], there[good], motion), float(good.mean())
