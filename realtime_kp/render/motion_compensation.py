"""Motion compensation of keypoints of an earlier frame, for drawing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from realtime_kp.keypoints import Detection, Keypoints, TrackedFrame
from realtime_kp.tracking.matching import nearest

_NEAR = 0.15  # of the long side of the picture


def compensate_motion(detection: Detection, tracked: TrackedFrame) -> Keypoints:
    """Move the newest keypoints, of an earlier frame, like the nearest tracks have moved since.

    This is accurate enough for drawing, not for measuring. Keypoints with no track near whose trail reaches
    back to that frame are left out: nothing tells where they are now.

    Args:
        detection: The keypoints and their frame.
        tracked: The frame to draw on.

    Returns:
        Keypoints in pixels of that frame.
    """
    keypoints = detection.keypoints
    trails, updates = tracked.tracks.trails_xy, tracked.updates_since_newest
    if updates == 0 or len(keypoints) == 0:
        return keypoints
    if updates >= trails.shape[1]:
        return keypoints.top(0)
    then, now = trails[:, -1 - updates], trails[:, -1]
    known = ~np.isnan(then[:, 0]) & ~np.isnan(now[:, 0])
    if not known.any():
        return keypoints.top(0)
    then, now = then[known], now[known]
    beside = nearest(keypoints.xy, then)
    gap = np.linalg.norm(keypoints.xy - then[beside], axis=1)
    near = np.flatnonzero(gap <= _NEAR * max(tracked.frame.size_wh))
    xy = (keypoints.xy + now[beside] - then[beside]).astype(np.float32)
    return replace(keypoints, xy=xy).rows(near)
