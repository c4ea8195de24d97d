from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.evaluation.followed_points import FollowedPoints
from realtime_kp.evaluation.tap_vid import tap_vid

NAN = np.nan


def points(
    offsets_px: list[list[float]], seen: list[list[int]], visible: list[list[int]], side: int = 256
) -> FollowedPoints:
    """Tracks whose error along x is given for every frame; NaN where the tracker gave no position."""
    errors = np.array(offsets_px, np.float32)
    truth_xy = np.full((*errors.shape, 2), 100, np.float32)
    xy = truth_xy.copy()
    xy[..., 0] += errors
    xy[np.isnan(errors)] = NAN
    was_seen = np.array(seen, bool)
    return FollowedPoints(
        xy, was_seen, truth_xy, np.array(visible, bool), was_seen.argmax(axis=1), (side, side)
    )


def test_perfect_tracks() -> None:
    found = tap_vid(points([[0, 0, 0]], [[1, 1, 1]], [[1, 1, 1]]))
    assert found.within == (1.0,) * 5
    assert found.occlusion_accuracy == found.average_jaccard == 1


def test_the_known_answer() -> None:
    # After the query: 0 and 3 px off; lost where it was last seen, 3 px off; then seen although occluded.
    found = tap_vid(points([[0, 0, 3, NAN, 0]], [[1, 1, 1, 0, 1]], [[1, 1, 1, 1, 0]]))
    assert found.within == pytest.approx((1 / 3, 1 / 3, 1, 1, 1))
    assert found.occlusion_accuracy == pytest.approx(2 / 4)
    # 1 and 2 px: one right, of three visible points, and two positions that are none of them.
    # From 4 px on: two right, of three visible points, and one position of an occluded one.
    assert found.average_jaccard == pytest.approx((2 * 1 / 5 + 3 * 2 / 4) / 5)


def test_a_lost_track_is_asked_where_it_is_predicted() -> None:
    lost = points([[0, 0.5, 0.5]], [[1, 0, 0]], [[1, 1, 1]])
    assert tap_vid(lost).within[0] == 1
    assert tap_vid(lost).occlusion_accuracy == tap_vid(lost).average_jaccard == 0


def test_positions_are_scaled_to_256_pixels() -> None:
    assert tap_vid(points([[0, 3]], [[1, 1]], [[1, 1]], side=1024)).within[0] == 1
    assert tap_vid(points([[0, 3]], [[1, 1]], [[1, 1]], side=256)).within[0] == 0


def test_frames_before_the_query_do_not_count() -> None:
    late = points([[NAN, NAN, 0, 0]], [[0, 0, 1, 1]], [[0, 0, 1, 1]])
    assert tap_vid(late).occlusion_accuracy == 1
    assert tap_vid(points([[0]], [[1]], [[1]])).average_jaccard == 0
