"""Motion compensation of keypoints of an earlier frame, for drawing."""

from __future__ import annotations

import numpy as np

from realtime_kp.keypoints import Detection, Keypoints, TrackedFrame
from realtime_kp.tracking.matching import nearest


def compensate_motion(detection: Detection, tracked: TrackedFrame) -> Keypoints:
    """Move keypoints of an earlier frame like the nearest tracks have moved since.

    This is accurate enough for drawing, not for measuring. Keypoints stay where no trail reaches back to that
    frame.

    Args:
        detection: The keypoints and their frame.
        tracked: The frame to draw on.

    Returns:
        The same keypoints in pixels of that frame.
    """
    keypoints = detection.keypoints
    age = tracked.frame.index - detection.frame_index
    trails = tracked.tracks.trails_xy
    if age <= 0 or len(keypoints) == 0 or age >= trails.shape[1]:
        return keypoints
    then, now = trails[:, -1 - age], trails[:, -1]
    known = ~np.isnan(then[:, 0]) & ~np.isnan(now[:, 0])
    if not known.any():
        return keypoints
    then, now = then[known], now[known]
    beside = nearest(keypoints.xy, then)
    xy = (keypoints.xy + now[beside] - then[beside]).astype(np.float32)
    return Keypoints(xy, keypoints.scores, keypoints.descriptors, keypoints.frame_index)
