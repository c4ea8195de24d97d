"""Where tracks are lost: births at depth edges, ends, drift, and points that do not return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.followed_points import FollowedPoints, share
from realtime_kp.evaluation.occlusions import RIGHT_PX, Occlusions, find_occlusions
from realtime_kp.sources import KnownScene

EDGE_PX = 6.0
NEAR_PX = (3.0, 10.0, 25.0)
_ENDED_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Returns:
    """What became of the tracks whose points were hidden for a while.

    Attributes:
        count: How many there were.
        returned: Share seen again within five frames, at most 2 px off.
        wrong: Share seen again farther off.
        ended: Share that had ended before the point was visible again.
        predicted: Share predicted within 3, 10 and 25 px of the truth in the first frame in which the point
            was visible again, or the frame before.
    """

    count: int
    returned: float
    wrong: float
    ended: float
    predicted: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrackLosses:
    """Where the tracks of a clip are lost.

    Attributes:
        tracks: Number of tracks.
        at_edges: Share born within 6 px of a depth edge.
        right_at_edges: Of the later positions of those, the share within 2 px of the truth since birth.
        right_elsewhere: The same of all others.
        ended_visible: Share of the tracks that end for good although their point stays visible for five
            frames.
        ended_at_edges: Share of those that were born at a depth edge.
        slid: Share of the seen positions more than 2 px off although the point is visible.
        seen_hidden: Share of the seen positions whose point is hidden.
        behind: Returns of points that something was before.
        left: Returns of points that left the picture.
    """

    tracks: int
    at_edges: float
    right_at_edges: float
    right_elsewhere: float
    ended_visible: float
    ended_at_edges: float
    slid: float
    seen_hidden: float
    behind: Returns
    left: Returns


def mean_losses(clips: Sequence[TrackLosses]) -> TrackLosses:
    """Mean over clips, each share weighted by what it is a share of; at least one clip."""
    tracks = np.array([clip.tracks for clip in clips], float)
    at_edges = np.array([clip.at_edges for clip in clips]) * tracks
    ended = np.array([clip.ended_visible for clip in clips]) * tracks

    def mean(name: str, weights: NDArray[np.float64]) -> float:
        values = [getattr(clip, name) for clip in clips]
        return float(np.average(values, weights=weights)) if weights.sum() else 0.0

    return TrackLosses(
        tracks=int(tracks.sum()),
        at_edges=mean("at_edges", tracks),
        right_at_edges=mean("right_at_edges", at_edges),
        right_elsewhere=mean("right_elsewhere", tracks - at_edges),
        ended_visible=mean("ended_visible", tracks),
        ended_at_edges=mean("ended_at_edges", ended),
        slid=mean("slid", tracks),
        seen_hidden=mean("seen_hidden", tracks),
        behind=_mean_returns([clip.behind for clip in clips]),
        left=_mean_returns([clip.left for clip in clips]),
    )


def _mean_returns(clips: Sequence[Returns]) -> Returns:
    counts = np.array([clip.count for clip in clips], float)
    weights = counts if counts.sum() else np.ones_like(counts)

    def mean(values: Sequence[Any]) -> Any:
        return np.average(values, axis=0, weights=weights)

    return Returns(
        count=int(counts.sum()),
        returned=float(mean([clip.returned for clip in clips])),
        wrong=float(mean([clip.wrong for clip in clips])),
        ended=float(mean([clip.ended for clip in clips])),
        predicted=tuple(mean([clip.predicted for clip in clips]).tolist()),
    )


def track_losses(points: FollowedPoints, scene: KnownScene, every: int, max_hidden: int) -> TrackLosses:
    """Find out where the tracks of a clip are lost.

    Args:
        points: The tracks beside the truth.
        scene: The scene that the clip shows.
        every: Step between the frames of the scene that the clip shows.
        max_hidden: Longest occlusion that counts, in frames.
    """
    errors_px, seen = points.errors_px, points.seen
    edges = _born_at_edges(points, scene, every)
    later = seen & (np.arange(seen.shape[1]) > points.births[:, None])
    right = errors_px <= RIGHT_PX
    ended = _ended_visible(points)
    hidden = find_occlusions(errors_px, points.visible, max_hidden)
    left = hidden.outside(points.inside)
    return TrackLosses(
        tracks=len(seen),
        at_edges=share(edges),
        right_at_edges=share(right[edges][later[edges]]),
        right_elsewhere=share(right[~edges][later[~edges]]),
        ended_visible=share(ended),
        ended_at_edges=share(edges[ended]),
        slid=share((~right & points.visible)[later]),
        seen_hidden=share(~points.visible[later]),
        behind=_returns(points, hidden, ~left),
        left=_returns(points, hidden, left),
    )


def _born_at_edges(points: FollowedPoints, scene: KnownScene, every: int) -> NDArray[np.bool_]:
    at_edges = np.zeros(len(points.births), np.bool_)
    for born in np.unique(points.births).tolist():
        same = np.flatnonzero(points.births == born)
        at_edges[same] = scene.depth_edges(born * every, points.xy[same, born], EDGE_PX)
    return at_edges


def _ended_visible(points: FollowedPoints) -> NDArray[np.bool_]:
    """`(T,) bool`: tracks not seen again although their point is visible in the next five frames."""
    frames = points.seen.shape[1]
    last = frames - 1 - points.seen[:, ::-1].argmax(axis=1)
    ended = last < frames - _ENDED_FRAMES
    for step in range(1, _ENDED_FRAMES + 1):
        ended &= points.visible[np.arange(len(last)), np.minimum(last + step, frames - 1)]
    return np.asarray(ended, np.bool_)


def _returns(points: FollowedPoints, hidden: Occlusions, which: NDArray[np.bool_]) -> Returns:
    rows, back = hidden.rows[which], hidden.back[which]
    gaps_px = np.linalg.norm(points.xy - points.truth_xy, axis=2)
    known = ~np.isnan(gaps_px[rows, back]) | ~np.isnan(gaps_px[rows, back - 1])
    gap_px = np.fmin(gaps_px[rows, back], gaps_px[rows, back - 1])
    return Returns(
        count=int(which.sum()),
        returned=share(hidden.returned[which]),
        wrong=share(hidden.wrong[which]),
        ended=share(~known),
        predicted=tuple(share(gap_px <= near) for near in NEAR_PX),
    )
