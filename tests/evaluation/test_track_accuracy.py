from __future__ import annotations

import numpy as np
import pytest

import realtime_kp as rk
from realtime_kp.evaluation.track_accuracy import surviving_share, track_accuracy
from realtime_kp.frame import Frame
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.sources import DemoSpec, Scene


def perfect_tracks(scene: Scene, frames: int, error_px: float) -> list[TrackedFrame]:
    """Tracks on the truth, every second one off by `error_px` in every second frame."""
    start = np.stack(np.meshgrid(np.arange(200, 440, 40), np.arange(160, 320, 40)), -1).reshape(-1, 2)
    result = []
    for i in range(frames):
        xy, _ = scene.truth(0, i, start.astype(np.float32))
        if i % 2:
            xy[::2, 0] += error_px
        n = len(xy)
        tracks = Tracks(
            np.arange(1, n + 1),
            xy,
            np.ones(n, np.float32),
            np.full(n, i + 1, np.int32),
            np.ones(n, np.int8),
            np.ones(n, np.bool_),
            xy[:, None],
        )
        result.append(TrackedFrame(Frame(i, i / 30, 0.0, np.zeros((480, 640, 3), np.uint8)), None, tracks))
    return result


def test_the_known_answer_on_made_up_tracks() -> None:
    scene = DemoSpec().scene()
    exact = track_accuracy(perfect_tracks(scene, 6, 0.0), scene)
    assert exact.within_1px == exact.within_3px == 1
    assert exact.median_px < 1e-3
    assert exact.mean_length == 6
    off = track_accuracy(perfect_tracks(scene, 6, 2.0), scene)
    assert off.within_1px == pytest.approx(0.5, abs=0.02)
    assert off.within_3px == 1


def test_tracks_on_an_occluder_are_not_counted() -> None:
    scene = DemoSpec(occluder=True).scene()
    frames = perfect_tracks(scene, 42, 0.0)
    everything = track_accuracy(frames, DemoSpec().scene())
    assert 0 < track_accuracy(frames, scene).steps < everything.steps


def test_survival_is_of_tracks_whose_point_is_visible_later() -> None:
    nan = np.nan
    errors_px = np.array(
        [
            [0.0, 0.1, 0.2, 0.1],  # seen and right later
            [0.0, 0.1, nan, nan],  # lost
            [0.0, 0.1, 5.0, 5.0],  # slid off
            [0.0, nan, nan, nan],  # lost, but its point is hidden later
        ]
    )
    visible = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]], np.bool_)
    assert surviving_share(errors_px, visible, 2) == pytest.approx(2 / 6)
    assert surviving_share(errors_px, visible, 3) == pytest.approx(1 / 3)
    assert surviving_share(errors_px[:, :2], visible[:, :2], 2) == 0


def test_tracks_seen_on_an_occluder_are_told() -> None:
    frames = perfect_tracks(DemoSpec().scene(), 42, 0.0)
    assert track_accuracy(frames, DemoSpec().scene()).seen_hidden == 0
    scene = DemoSpec(occluder=True).scene()
    found = track_accuracy(frames, scene)
    start = frames[0].tracks.xy
    hidden = [~scene.truth(0, i, start)[1] for i in range(len(frames))]
    assert np.sum(hidden) > 5
    assert found.seen_hidden == pytest.approx(np.mean(hidden))
    # Each is seen 30 frames later; on the box it is hidden, and does not count.
    assert found.survived == 1


def test_no_steps_is_an_error() -> None:
    with pytest.raises(ValueError, match="no track"):
        track_accuracy([], DemoSpec().scene())


@pytest.mark.slow
def test_tracks_on_the_demo_follow_the_truth() -> None:
    scene = DemoSpec().scene()
    accuracy = track_accuracy(rk.track("demo", max_frames=90), scene)
    assert accuracy.steps > 10_000
    assert accuracy.within_3px >= 0.97
    assert accuracy.mean_length >= 10
