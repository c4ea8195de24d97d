"""Stages: results of the alignment into the table, states, ends, history and trails."""

from __future__ import annotations

import numpy as np

from realtime_kp.frame import masked_out
from realtime_kp.tracking.history import PastFrame
from realtime_kp.tracking.position_sigma import predicted_sigma_px, seen_sigma_px
from realtime_kp.tracking.stages.state import FloatArray, FrameState, hidden_rows

_RESIDUAL_MOTION_GAIN = 0.5
_FARTHEST_PX = 1e4
_SURE = 0.93
_PARTIAL = 2.0  # how much noisier an alignment by a part of the patch is


def update_tracks(state: FrameState) -> None:
    """Write positions, motion and counters into the table, and apply the life cycle."""
    table, elapsed = state.table, np.float32(state.elapsed)
    found, active = state.found[:, None], table.active[:, None]
    returned = int((state.found & ~table.active).sum())
    residual = (state.xy - state.moved_xy) / elapsed - table.residual_motion
    first = state.memory.has_structure & (table.lengths == 1)
    residual = table.residual_motion + np.where(first, 1, _RESIDUAL_MOTION_GAIN)[:, None] * residual
    table.residual_motion = np.where(found & active, residual, 0).astype(np.float32)
    table.velocity = np.where(found & active, (state.xy - table.xy) / elapsed, 0).astype(np.float32)
    table.sigma_px = _sigma_px(state)
    table.xy = state.xy.astype(np.float32)
    sure = (state.found & ~state.partial & (state.correlation >= _SURE))[:, None, None]
    table.sure_affine = np.where(sure, state.affine, state.sure_affine).astype(np.float32)
    table.affine = np.where(found[..., None], state.affine, table.sure_affine).astype(np.float32)
    table.flow_only = np.where(state.flow_only, table.flow_only + 1, 0).astype(np.int32)
    table.seen = state.found
    table.missed = np.where(table.seen, 0, table.missed + state.elapsed).astype(np.int32)
    table.streaks = np.where(table.seen, table.streaks + 1, 0).astype(np.int32)
    table.lengths = table.lengths + table.seen
    table.update_states(state.memory.config.confirm_after)
    state.memory.motion = state.motion
    state.memory.returns.add(int(hidden_rows(state).sum()) + returned, returned)


def _sigma_px(state: FrameState) -> FloatArray:
    table = state.table
    noise_px = state.memory.patches.noise_px(table.slots, state.affine, state.correlation)
    noise_px[state.partial] *= np.float32(_PARTIAL)
    in_depth = state.memory.has_structure
    seen = seen_sigma_px(noise_px, table.misfit_px, state.flow_only, in_depth=in_depth)
    return np.where(state.found, seen, predicted_sigma_px(table.sigma_px, state.elapsed)).astype(np.float32)


def end_tracks(state: FrameState) -> None:
    """Remove duplicates, what is far outside, and tracks whose life is over; without descriptors all lost."""
    table = state.table
    ended = table.ended(state.memory.config) | state.duplicate
    ended |= ~(np.abs(table.xy) < _FARTHEST_PX).all(axis=1)
    if not state.memory.use_descriptors:
        ended |= ~table.active
    table.xy[table.pinned] = np.clip(table.xy[table.pinned], -_FARTHEST_PX, _FARTHEST_PX)
    state.memory.end_tracks(ended)


def end_masked_out(state: FrameState) -> None:
    """End tracks where the frame is masked out, lost ones as well."""
    if state.mask is not None:
        state.memory.end_tracks(masked_out(state.mask, state.table.xy))


def record_history(state: FrameState) -> None:
    """Keep the frame and the track positions for detections that arrive late."""
    state.memory.history.push(PastFrame.of(state.current, state.table))


def extend_trails(state: FrameState) -> None:
    """Append the positions of this frame to the trails."""
    state.table.push_trails()
