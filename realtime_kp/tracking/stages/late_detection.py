"""Positions of a past frame carried to the current one, for detections that arrive late."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.history import PastFrame
from realtime_kp.tracking.matching import nearest
from realtime_kp.tracking.optical_flow import follow, match_brightness
from realtime_kp.tracking.stages.state import FloatArray, FrameState, Mask


def to_current_frame(state: FrameState, xy: FloatArray) -> tuple[FloatArray, Mask]:
    """Follow positions from the frame of the detection to the current frame by optical flow.

    Flow starts from the motion of the nearest track since then.

    Args:
        state: Holds the observation.
        xy: `(N, 2)`, positions in the frame of the detection.

    Returns:
        `(N, 2)` positions in the current frame, and `(N,) bool`: which were followed.
    """
    return carry(state, state.require_observation().past, xy)


def carry(state: FrameState, past: PastFrame, xy: FloatArray) -> tuple[FloatArray, Mask]:
    """Follow positions from a past frame to the current one; arguments and results as above.

    Args:
        state: The current frame.
        past: The frame in which the positions are.
        xy: `(N, 2)`.
    """
    current, table = state.current, state.table
    if past.index == current.index or len(xy) == 0:
        return xy, np.ones(len(xy), np.bool_)
    rows, past_rows = past.common_rows(table.ids)
    known = table.seen[rows] & past.seen[past_rows]
    guess = xy
    if known.any():
        past_xy = past.xy[past_rows[known]]
        shift = table.xy[rows[known]] - past_xy
        guess = xy + shift[nearest(xy, past_xy)]
    return follow(match_brightness(past.grey, current.grey), current.grey, xy, guess)
