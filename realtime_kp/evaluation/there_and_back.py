"""A video played forwards and then backwards: every point must end where it began, whatever hid it meanwhile.

(As the forward-backward error of Kalal et al., Forward-Backward Error, ICPR 2010, but of the whole clip, and
as a share of all points, so that dropping difficult ones does not help.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.compared_trackers import PointTracker
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks

FRAMES = 60
NEAR_PX, NEARER_PX = 3.0, 1.0
_FIRST = 1  # tracks are confirmed when they are seen twice


@dataclass(frozen=True, slots=True)
class ThereAndBack:
    """What became of the points of the first frame when the clip had been played forwards and backwards.

    Attributes:
        points: Number of tracks confirmed in the first frames.
        frames: Number of frames from there to the turn.
        survived: Share of them that were seen at the end.
        within_1px: Share that were seen at most 1 px from where they began.
        within_3px: The same for 3 px.
        median_px: Median distance of those seen at the end; None where there are none.
        unbroken: Share that were seen in every frame on the way.
    """

    points: int
    frames: int
    survived: float
    within_1px: float
    within_3px: float
    median_px: float | None
    unbroken: float


def there_and_back(
    frames: Sequence[Frame],
    keypoints: Sequence[Keypoints],
    make: Callable[[], PointTracker],
) -> ThereAndBack | None:
    """Run a new tracker over a clip forwards and then backwards.

    Args:
        frames: The clip.
        keypoints: Keypoints of each frame.
        make: Makes the tracker.

    Returns:
        The figures; None where the clip has fewer than three frames, or no track in its second one.
    """
    if len(frames) < _FIRST + 2:
        return None
    order = [*range(len(frames)), *range(len(frames) - 2, _FIRST - 1, -1)]
    tracker, step_s = make(), _step_s(frames)
    seen = []
    for index, number in enumerate(order):
        frame = Frame(index, index * step_s, 0.0, frames[number].image_bgr)
        seen.append(_positions(tracker.update(frame, keypoints[number])))
    return _compare(seen[_FIRST], seen[-1], seen[_FIRST:], len(frames) - 1 - _FIRST)


def _compare(
    first: dict[int, NDArray[np.float32]],
    last: dict[int, NDArray[np.float32]],
    way: Sequence[dict[int, NDArray[np.float32]]],
    frames: int,
) -> ThereAndBack | None:
    if not first:
        return None
    gaps_px = np.array([np.linalg.norm(xy - last[i]) for i, xy in first.items() if i in last])
    unbroken = sum(all(i in tracks for tracks in way) for i in first)
    count = len(first)
    return ThereAndBack(
        points=count,
        frames=frames,
        survived=len(gaps_px) / count,
        within_1px=float((gaps_px <= NEARER_PX).sum()) / count,
        within_3px=float((gaps_px <= NEAR_PX).sum()) / count,
        median_px=float(np.median(gaps_px)) if len(gaps_px) else None,
        unbroken=unbroken / count,
    )


def _positions(tracks: Tracks) -> dict[int, NDArray[np.float32]]:
    shown = tracks.seen_confirmed
    return dict(zip(shown.ids.tolist(), shown.xy, strict=True))


def _step_s(frames: Sequence[Frame]) -> float:
    return (frames[-1].time_s - frames[0].time_s) / (len(frames) - 1)
