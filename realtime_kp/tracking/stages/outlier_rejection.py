"""Stages: rejection of tracks that slid off their point, and of duplicates."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.association import moving_together
from realtime_kp.tracking.matching import near_pairs
from realtime_kp.tracking.parallax import MOVES_PX
from realtime_kp.tracking.stages.state import FloatArray, FrameState, Mask

_MAX_DEVIATION_PX = 2.0
_NEIGHBOUR_REACH_PX = 64.0
_DUPLICATE_PX = 2.0
_SURE = 0.9


def reject_motion_outliers(state: FrameState) -> None:
    """Reject tracks that deviate from the global motion while no neighbour moves like them.

    A single deviating track has mostly slid off its point; several that deviate alike are a moving object.
    """
    if state.motion is None:
        return
    table = state.table
    outlier = np.abs(state.xy - state.moved_xy).max(axis=1, initial=0) > _MAX_DEVIATION_PX
    # The inverse depths of a moving object follow its motion, some sooner than others: what its points have
    # in common is their motion against the reference plane.
    moving = np.flatnonzero(state.found & (outlier | (table.misfit_px > MOVES_PX)))
    against_plane = state.xy[moving] - state.motion.apply(table.xy[moving])
    together = moving_together(state.xy[moving], against_plane, _NEIGHBOUR_REACH_PX)
    slid = outlier[moving] & ~together
    # What the user asked for may be all that is followed of a moving object.
    slid &= ~(table.pinned[moving] & (state.correlation[moving] >= _SURE))
    state.found[moving[slid]] = False


def reject_duplicates(state: FrameState) -> None:
    """Of two tracks at one position the younger one ends."""
    state.duplicate = duplicates(state.xy, state.found, state.table.pinned)
    state.found &= ~state.duplicate


def duplicates(xy: FloatArray, found: Mask, pinned: Mask) -> Mask:
    """Which of the tracks that were found lie at the position of an older one, or of a pinned one.

    Args:
        xy: `(M, 2)`, pixels; rows in the order of age.
        found: `(M,) bool`, which tracks are compared.
        pinned: `(M,) bool`, tracks that are no duplicate of any other.

    Returns:
        `(M,) bool`.
    """
    rows = np.flatnonzero(found)
    pairs = near_pairs(xy[rows], xy[rows], _DUPLICATE_PX)
    duplicate = np.zeros(len(xy), np.bool_)
    first, second = rows[pairs.a], rows[pairs.b]
    duplicate[second[(first < second) | pinned[first]]] = True
    return duplicate & ~pinned
