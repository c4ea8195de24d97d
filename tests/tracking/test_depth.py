"""The hybrid tracker in a world with depth, beside OpenCV's Lucas–Kanade on the same frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from realtime_kp.config import SuperPointConfig
from realtime_kp.evaluation.compared_trackers import PointTracker
from realtime_kp.evaluation.followed_points import FollowedPoints
from realtime_kp.evaluation.reference_trackers import KltTracker
from realtime_kp.evaluation.track_accuracy import TrackAccuracy, TrackRecord
from realtime_kp.evaluation.track_losses import TrackLosses, track_losses
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Tracks
from realtime_kp.sources import DemoSpec, KnownScene
from realtime_kp.tracking import Tracker

pytestmark = pytest.mark.slow

FRAMES = 75
SIZE = "size=480x360"


class Clip:
    """Frames and keypoints of a scene."""

    def __init__(self, text: str) -> None:
        self.scene: KnownScene = DemoSpec.parse(text).scene()
        self.images = [self.scene.render(i) for i in range(FRAMES)]
        with SuperPoint(SuperPointConfig(model="small", resize="480")) as superpoint:
            self.keypoints = [superpoint(image) for image in self.images]

    def run(self, make: Callable[[], PointTracker]) -> tuple[TrackRecord, list[Tracks]]:
        tracker, record, seen = make(), TrackRecord(self.scene), []
        for i, (image, keypoints) in enumerate(zip(self.images, self.keypoints, strict=True)):
            seen.append(tracker.update(Frame(i, i / 30, 0.0, image), keypoints))
            record.add(seen[-1])
        return record, seen


class Compared:
    """Figures of both trackers on one clip."""

    def __init__(self, text: str) -> None:
        self.clip = Clip(text)
        record, self.tracks = self.clip.run(Tracker)
        self.points: FollowedPoints = record.points()
        self.ours: TrackAccuracy = record.accuracy(self.points)
        self.losses: TrackLosses = track_losses(self.points, self.clip.scene, 1, 30)
        self.klt = self.clip.run(KltTracker)[0].accuracy()


@pytest.fixture(scope="module")
def walk() -> Compared:
    return Compared(f"demo:room?motion=walk&seed=2&{SIZE}")


@pytest.fixture(scope="module")
def forward() -> Compared:
    return Compared(f"demo:room?motion=forward&seed=20&{SIZE}")


def test_tracks_hold_under_parallax(walk: Compared) -> None:
    assert walk.ours.since_birth >= 0.97
    assert walk.ours.survived >= walk.klt.survived + 0.15
    assert walk.ours.mean_length >= 1.1 * walk.klt.mean_length
    assert walk.ours.tap_average_jaccard >= walk.klt.tap_average_jaccard + 0.15


def test_points_behind_a_box_return(walk: Compared) -> None:
    behind = walk.losses.behind
    assert behind.count >= 100
    assert behind.predicted[0] >= 0.85
    assert behind.returned >= 0.65
    assert behind.wrong <= 0.02
    assert walk.ours.seen_hidden <= 0.012


def test_points_that_left_the_picture_return(walk: Compared, forward: Compared) -> None:
    left = [walk.losses.left, forward.losses.left]
    counts = [one.count for one in left]
    assert sum(counts) >= 30
    assert np.average([one.returned for one in left], weights=counts) >= 0.4


def test_tracks_hold_while_surfaces_grow_by_a_factor_of_two(forward: Compared) -> None:
    scales = [
        np.linalg.norm(np.diff(forward.clip.scene.truth(0, 45, np.array(pair, np.float32))[0], axis=0))
        / np.linalg.norm(np.diff(np.array(pair), axis=0))
        for pair in ([[x, y], [x + 20, y]] for x in range(20, 450, 10) for y in range(60, 330, 10))
    ]
    assert np.quantile(scales, 0.9) >= 1.6
    assert max(scales) >= 2
    assert forward.ours.since_birth >= 0.96
    assert forward.ours.survived >= forward.klt.survived + 0.2
    assert forward.ours.mean_length >= 1.3 * forward.klt.mean_length


def test_tracks_born_at_depth_edges_are_fewer_and_better_than_corners(walk: Compared) -> None:
    corners = track_losses(walk.clip.run(KltTracker)[0].points(), walk.clip.scene, 1, 30)
    assert walk.losses.at_edges < corners.at_edges
    assert walk.losses.right_at_edges > corners.right_at_edges + 0.1


@pytest.mark.parametrize("name", ["walk", "forward"])
def test_sigma_is_calibrated(name: str, request: pytest.FixtureRequest) -> None:
    compared: Compared = request.getfixturevalue(name)
    assert_calibrated(compared.points, compared.tracks)


def test_sigma_is_calibrated_in_a_flat_scene() -> None:
    clip = Clip(f"demo:?seed=5&{SIZE}")
    record, tracks = clip.run(Tracker)
    assert_calibrated(record.points(), tracks)
    assert record.accuracy().since_birth >= 0.99


def assert_calibrated(points: FollowedPoints, tracks: list[Tracks]) -> None:
    """68 % of the distances from the truth within sigma, 95 % within twice it, each ± 8 points."""
    sigma_px = sigma_table(points, tracks)
    asked = points.seen & points.visible & (np.arange(FRAMES) > points.births[:, None])
    ratio = points.errors_px[asked] / sigma_px[asked]
    assert np.mean(ratio <= 1) == pytest.approx(0.68, abs=0.08)
    assert np.mean(ratio <= 2) == pytest.approx(0.95, abs=0.05)


def sigma_table(points: FollowedPoints, tracks: list[Tracks]) -> np.ndarray:
    """`(T, F)` in the order of the points, whose positions tell which track is which."""
    table = np.full(points.seen.shape, np.nan)
    for frame, found in enumerate(tracks):
        of_place = {xy.tobytes(): sigma for xy, sigma in zip(found.xy, found.sigma_px, strict=True)}
        for row in np.flatnonzero(points.seen[:, frame]):
            table[row, frame] = of_place[points.xy[row, frame].tobytes()]
    return table


def test_lost_tracks_are_less_sure(walk: Compared) -> None:
    lost = [tracks.where(tracks.states == 2).sigma_px for tracks in walk.tracks]
    seen = [tracks.seen_confirmed.sigma_px for tracks in walk.tracks]
    assert np.median(np.concatenate(lost)) > 4 * np.median(np.concatenate(seen))
    assert np.isfinite(np.concatenate(seen)).all()
