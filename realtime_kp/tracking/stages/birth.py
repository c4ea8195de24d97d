"""Stage: new tracks on free keypoints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.frame import masked_out
from realtime_kp.keypoints import Keypoints, TrackState
from realtime_kp.tracking.key_patches import cut_patches
from realtime_kp.tracking.matching import near_pairs
from realtime_kp.tracking.patch_sampling import REACH_PX, min_eigenvalue
from realtime_kp.tracking.position_sigma import seen_sigma_px
from realtime_kp.tracking.stages.alignment import EDGE_PX
from realtime_kp.tracking.stages.confirmation import SPACING_PX
from realtime_kp.tracking.stages.late_detection import to_current_frame
from realtime_kp.tracking.stages.patch_renewal import MIN_EIGENVALUE
from realtime_kp.tracking.stages.state import FloatArray, FrameState, IntArray, Mask, hidden_rows
from realtime_kp.tracking.stages.structure import guess_depths
from realtime_kp.tracking.table import AlignedTable

_MARGIN_PX = REACH_PX
_SOON_FRAMES = 5
_MAX_CANDIDATES = 128
_MIN_SHARE = 64
_CELLS = 8


def start_tracks(state: FrameState) -> None:
    """Start tracks on free keypoints with a well-conditioned patch, as far as the budget allows.

    Emptiest parts of the frame come first.
    """
    memory, table, current = state.memory, state.table, state.current
    seen = state.require_observation()
    keypoints, past = seen.keypoints, seen.past
    room = free_budget(state)
    # Selecting positions costs more than starting there: it pays for several tracks at a time.
    if room < max(1, memory.config.max_tracks // _MIN_SHARE):
        return
    free = seen.free & current.inside(keypoints.xy, _MARGIN_PX)
    rows = birth_order(keypoints, free, table.xy[table.active], current.size_wh)
    if 2 * room < memory.config.max_tracks:
        # Most of what is still free is ill-conditioned: candidates are examined in turn, frame by frame.
        turns = max(1, -(-len(rows) // _MAX_CANDIDATES))
        rows = rows[current.index % turns :: turns]
    there, good = to_current_frame(state, keypoints.xy[rows])
    good &= current.inside(there, EDGE_PX) & ~masked_out(state.mask, there)
    good[near_pairs(there, table.xy[table.seen], SPACING_PX).a] = False
    rows, there = rows[good], there[good]
    values = current.values if past.index == current.index else past.grey.astype(np.float32)
    conditioned = np.flatnonzero(min_eigenvalue(values, keypoints.xy[rows]) >= MIN_EIGENVALUE)[:room]
    rows, there = rows[conditioned], there[conditioned]
    append_tracks(state, keypoints.rows(rows), values, there)


def append_tracks(
    state: FrameState,
    keypoints: Keypoints,
    values: FloatArray,
    there: FloatArray,
    detections: int = 1,
    ids: NDArray[np.int64] | None = None,
) -> None:
    """Append new tracks to the table.

    Args:
        state: The frame.
        keypoints: Where they start, in the frame that their key patches are cut from.
        values: `(H, W) float32`, that frame.
        there: `(N, 2)`, where they are in the current frame.
        detections: 1 with descriptors of a detection, 0 where there are none yet.
        ids: `(N,)`, their ids; None takes new ones.
    """
    memory, table = state.memory, state.table
    slots = memory.patches.put(cut_patches(values, keypoints.xy))
    ids = memory.registry.new_ids(len(keypoints)) if ids is None else ids
    born = AlignedTable.with_patches(ids, keypoints, slots, table.trails_xy.shape[1])
    born.xy = there.astype(np.float32)
    born.detections[:] = detections
    born.sigma_px[:] = seen_sigma_px(
        memory.patches.noise_px(slots, born.affine, np.ones(len(born), np.float32)),
        born.misfit_px,
        np.zeros(len(born), np.bool_),
        in_depth=memory.has_structure,
    )
    born.inverse_depths, born.depth_variances = guess_depths(state, born.xy)
    if memory.config.confirm_after == 1:
        born.states[:] = TrackState.CONFIRMED
    table.append(born)


def free_budget(state: FrameState) -> int:
    """How many tracks may start; a part of the budget is reserved for hidden tracks that will soon return."""
    table, max_tracks = state.table, state.memory.config.max_tracks
    hidden = int(hidden_rows(state).sum())
    reserved = min(round(hidden * state.memory.returns.share_within(_SOON_FRAMES)), max_tracks // 4)
    return max_tracks - int(table.active.sum()) - reserved


def birth_order(
    keypoints: Keypoints, free: Mask, active_xy: FloatArray, size_wh: tuple[int, int]
) -> IntArray:
    """Keypoints on which a track may start, those in the emptiest parts of the frame first.

    Args:
        keypoints: Best first.
        free: `(N,) bool`: not close to a track, and well inside the frame.
        active_xy: `(M, 2)`, positions of the active tracks.
        size_wh: Width and height of the frame.

    Returns:
        Rows of the keypoints, no two closer than the smallest spacing; best first within a part.
    """
    rows = _spaced(keypoints.xy, np.flatnonzero(free))
    cell_px = max(size_wh) / _CELLS
    width = _CELLS + 1

    def cells(xy: FloatArray) -> IntArray:
        column, line = np.clip(xy / cell_px, 0, _CELLS).astype(np.intp).T
        return np.asarray(line * width + column)

    own = cells(keypoints.xy[rows])
    occupancy = np.bincount(cells(active_xy), minlength=width * width)[own]
    # The n-th candidate of a cell is ranked as if n more tracks were in it.
    order = np.argsort(own, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(own[order]) > 0]) if len(own) else np.zeros(0, np.intp)
    rank = np.empty(len(own), np.intp)
    rank[order] = np.arange(len(own)) - np.repeat(starts, np.diff(np.r_[starts, len(own)]))
    return rows[np.argsort(occupancy + rank, kind="stable")]


def _spaced(xy: FloatArray, rows: IntArray) -> IntArray:
    """Remove rows that lie too close to a better one."""
    pairs = near_pairs(xy[rows], xy[rows], SPACING_PX)
    pairs = pairs.where(pairs.a < pairs.b)
    removed = np.zeros(len(rows), np.bool_)
    order = np.argsort(pairs.a, kind="stable")
    for better, worse in zip(pairs.a[order].tolist(), pairs.b[order].tolist(), strict=True):
        if not removed[better]:
            removed[worse] = True
    return rows[~removed]
