"""Stage: new tracks on corners, where detections are rare."""

from __future__ import annotations

import cv2
import numpy as np

from realtime_kp.frame import masked_out
from realtime_kp.keypoints import Keypoints
from realtime_kp.tracking.matching import near_pairs
from realtime_kp.tracking.patch_sampling import REACH_PX, min_eigenvalue
from realtime_kp.tracking.stages.birth import append_tracks, birth_order, free_budget
from realtime_kp.tracking.stages.confirmation import SPACING_PX
from realtime_kp.tracking.stages.patch_renewal import MIN_EIGENVALUE
from realtime_kp.tracking.stages.state import FrameState

_RARE_FRAMES = 3
_EVERY_FRAMES = 3
_MOST = 0.5
_QUALITY = 0.01
_APART_PX = 8.0


def start_tracks_on_corners(state: FrameState) -> None:
    """Start tracks on corners (Shi and Tomasi, CVPR 1994) while there is no detection of a recent frame.

    They are aligned like all others, and get a descriptor from the first detection at their position. They
    leave half of the budget to keypoints.
    """
    memory, table, current = state.memory, state.table, state.current
    waiting = current.index - memory.detected_index
    wanted = memory.config.corners == "always" and state.keypoints is None
    if not wanted or waiting <= _RARE_FRAMES or waiting % _EVERY_FRAMES:
        return
    room = min(free_budget(state), int(_MOST * memory.config.max_tracks) - int(table.active.sum()))
    if room <= 0:
        return
    corners = cv2.goodFeaturesToTrack(current.grey, 2 * memory.config.max_tracks, _QUALITY, _APART_PX)
    if corners is None:
        return
    xy = corners.reshape(-1, 2).astype(np.float32)
    free = current.inside(xy, REACH_PX) & ~masked_out(state.mask, xy)
    free[near_pairs(xy, table.xy[table.seen], SPACING_PX).a] = False
    # Last, since it costs most.
    free[free] = min_eigenvalue(current.values, xy[free]) >= MIN_EIGENVALUE
    length = table.descriptors.shape[1]
    found = Keypoints(xy, np.zeros(len(xy), np.float32), np.zeros((len(xy), length), np.float32))
    found = found.rows(birth_order(found, free, table.xy[table.active], current.size_wh)[:room])
    append_tracks(state, found, current.values, found.xy, detections=0)
