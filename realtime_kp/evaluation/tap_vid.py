"""The measures of TAP-Vid (Doersch et al., A Benchmark for Tracking Any Point in a Video, 2022, section 3.4).

Every track is a query at the frame and position at which it was first seen ("query first"); the frames after
it count. A track that is lost, or has ended, is an occluded prediction at its last known position. Positions
are scaled to a picture of 256×256 pixels, as in the paper. The shares are of all points and frames of a clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realtime_kp.evaluation.followed_points import FloatArray, FollowedPoints

THRESHOLDS_PX = (1, 2, 4, 8, 16)
_SIDE_PX = 256


@dataclass(frozen=True, slots=True)
class TapVid:
    """Measures of one clip.

    Attributes:
        within: Share of the visible points predicted within 1, 2, 4, 8 and 16 px, whether or not the tracker
            takes them for occluded.
        occlusion_accuracy: Share of the points whose visibility is predicted right.
        average_jaccard: Mean over the thresholds of right positions, as a share of right positions, visible
            points without one, and positions told of a point that is occluded or farther away.
    """

    within: tuple[float, ...]
    occlusion_accuracy: float
    average_jaccard: float


def tap_vid(points: FollowedPoints) -> TapVid:
    """Measure the tracks of a clip; one of a single frame has nothing to measure and gives zeros."""
    frames = np.arange(points.seen.shape[1])
    asked = frames > points.births[:, None]
    if not asked.any():
        return TapVid((0.0,) * len(THRESHOLDS_PX), 0.0, 0.0)
    scale = _SIDE_PX / np.array(points.size_wh)
    gap = np.linalg.norm((_held(points.xy) - points.truth_xy) * scale, axis=2)[asked]
    visible, seen = points.visible[asked], points.seen[asked]
    within, jaccard = [], []
    for threshold in THRESHOLDS_PX:
        near = gap < threshold
        within.append(float(near[visible].mean()) if visible.any() else 0.0)
        right = int((near & visible & seen).sum())
        wrong = int((seen & ~(near & visible)).sum())
        jaccard.append(right / max(1, int(visible.sum()) + wrong))
    return TapVid(tuple(within), float((visible == seen).mean()), float(np.mean(jaccard)))


def _held(xy: FloatArray) -> FloatArray:
    """Positions, the last known one where there is none."""
    known = ~np.isnan(xy[..., 0])
    last = np.maximum.accumulate(np.where(known, np.arange(xy.shape[1]), 0), axis=1)
    return np.asarray(np.take_along_axis(xy, last[..., None], axis=1))
