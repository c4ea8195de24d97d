from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.evaluation.followed_points import FollowedPoints, PositionRecord
from realtime_kp.evaluation.track_losses import track_losses
from realtime_kp.keypoints import Tracks
from realtime_kp.sources import DemoSpec

SCENE = DemoSpec(motion="still").scene()


def tracks(ids: list[int], xy: np.ndarray, states: list[int], seen: list[int]) -> Tracks:
    n = len(ids)
    return Tracks(
        np.array(ids),
        xy.astype(np.float32),
        np.ones(n, np.float32),
        np.ones(n, np.int32),
        np.array(states, np.int8),
        np.array(seen, bool),
        xy[:, None].astype(np.float32),
    )


def test_positions_of_lost_tracks_are_recorded_and_tentative_ones_left_out() -> None:
    record = PositionRecord()
    place = np.array([[100.0, 100], [200, 100], [300, 100]])
    record.add(tracks([1, 2, 3], place, [1, 1, 0], [1, 1, 1]))
    record.add(tracks([1, 2, 3], place + np.array([1, 0]), [1, 2, 1], [1, 0, 1]))
    points = record.against(SCENE, 1)
    assert points.seen.tolist() == [[True, True], [True, False], [False, True]]
    assert points.births.tolist() == [0, 0, 1]
    assert points.xy[1, 1].tolist() == [201, 100]
    assert np.isnan(points.xy[2, 0]).all()
    assert points.errors_px[0] == pytest.approx([0, 1], abs=1e-3)
    assert np.isnan(points.errors_px[1, 1])
    assert not points.visible[2, 0]


def test_losses_are_split_by_cause() -> None:
    frames = 12
    truth_xy = np.full((4, frames, 2), 200, np.float32)
    xy, seen, visible = truth_xy.copy(), np.ones((4, frames), bool), np.ones((4, frames), bool)
    xy[1, 3:] += 5  # slides off its point
    seen[2, 4:] = False  # ends although its point is visible
    visible[3, 3:5] = seen[3, 3:5] = False  # hidden, and returns
    xy[3, 3:5, 0] += 4
    points = FollowedPoints(xy, seen, truth_xy, visible, np.zeros(4, np.intp), (640, 480))
    found = track_losses(points, SCENE, 1, 30)
    assert found.tracks == 4
    assert found.ended_visible == 1 / 4
    assert found.slid == pytest.approx(9 / (11 + 11 + 3 + 9))
    assert found.at_edges == 0
    assert (found.behind.count, found.behind.returned, found.left.count) == (1, 1, 0)
    assert found.behind.predicted == (1, 1, 1)  # the frame of the return counts


def test_births_beside_an_occluder_are_at_a_depth_edge() -> None:
    scene = DemoSpec(occluder=True).scene()
    frame = 30
    y, x = np.mgrid[10:470:4, 10:630:4]
    xy = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    hidden = ~scene.truth(frame, frame, xy)[1]
    edges = scene.depth_edges(frame, xy, 6.0)
    assert hidden.any()
    assert edges[hidden].all()
    assert hidden.mean() < edges.mean() < 0.5
    assert not SCENE.depth_edges(frame, xy, 6.0).any()


def test_depth_edges_of_a_room_lie_where_surfaces_are_apart() -> None:
    scene = DemoSpec.parse("demo:room?seed=3").scene()
    y, x = np.mgrid[10:470:6, 10:630:6]
    xy = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    narrow, wide = scene.depth_edges(0, xy, 2.0), scene.depth_edges(0, xy, 8.0)
    assert 0.005 < narrow.mean() < wide.mean() < 0.5
    # Two sides of an edge move apart: across it the truth of the next second differs by pixels.
    beside = np.stack([xy - np.array([3, 0]), xy + np.array([3, 0])])
    shifts = [scene.truth(0, 20, side.astype(np.float32))[0] - side for side in beside]
    apart = np.linalg.norm(shifts[0] - shifts[1], axis=1)
    assert np.median(apart[scene.depth_edges(0, xy, 3.0)]) > 4 * np.median(apart[~wide])
