"""Tracks seen through a lens that bends straight lines, which the tracker knows or not."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.evaluation.track_accuracy import MAX_HIDDEN_FRAMES, TrackRecord
from realtime_kp.evaluation.track_losses import track_losses
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.lens import Lens
from realtime_kp.sources import RoomScene
from realtime_kp.sources.lens_scene import LensScene
from realtime_kp.tracking import Tracker, restore_tracker, save_tracker
from realtime_kp.tracking.motion import GlobalMotion, estimate_motion, refit
from realtime_kp.tracking.parallax import carry_depths, fit_motion, observe_depths

LENS = Lens((640, 480), (400.0, 400.0), (322.0, 236.0), (-0.3, 0.09, 0.001, -0.0005, -0.01))
MATRIX = np.array([[1.01, 0.03, 4.0], [-0.03, 1.0, -3.0], [2e-5, -1e-5, 1.0]])


def places(count: int = 300) -> np.ndarray:
    return (np.random.default_rng(0).uniform(0.05, 0.95, (count, 2)) * (640, 480)).astype(np.float32)


def moved(xy: np.ndarray, depths: np.ndarray | None = None, epipole: np.ndarray | None = None) -> np.ndarray:
    """Pixels after a motion of the undistorted pixels."""
    plain = GlobalMotion(MATRIX, 1.0, 1.0, epipole)
    return LENS.distort(plain.apply(LENS.undistort(xy), depths))


def test_a_homography_of_undistorted_pixels_is_found() -> None:
    before, after = places(), moved(places())
    motion = estimate_motion(before, after, lens=LENS)
    assert motion is not None
    np.testing.assert_allclose(motion.apply(before), after, atol=0.02)
    np.testing.assert_allclose(refit(motion, before, after).apply(before), after, atol=0.02)
    # Without the lens no homography explains the positions.
    blind = estimate_motion(before, after)
    assert blind is None or np.abs(blind.apply(before) - after).max() > 1


def test_jacobians_go_through_the_lens() -> None:
    motion = GlobalMotion(MATRIX, 1.0, 1.0, np.array([30.0, 5.0, 0.02]), lens=LENS)
    xy, depths = places(), np.random.default_rng(1).normal(0, 1, 300).astype(np.float32)
    step = 0.25
    measured = np.stack(
        [
            (motion.apply(xy + side, depths) - motion.apply(xy - side, depths)) / (2 * step)
            for side in np.float32(step) * np.eye(2, dtype=np.float32)
        ],
        axis=2,
    )
    np.testing.assert_allclose(motion.jacobian(xy, depths), measured, atol=0.02)


def test_inverse_depths_are_observed_through_the_lens() -> None:
    epipole = np.array([30.0, 5.0, 0.02])
    depths = np.random.default_rng(1).normal(0, 1, 300).astype(np.float32)
    before, after = places(), moved(places(), depths, epipole)
    motion = fit_motion(before, after, depths, lens=LENS)
    assert motion is not None
    assert motion.lens == LENS
    np.testing.assert_allclose(motion.apply(before, depths), after, atol=0.1)
    unknown = np.full(300, 1e6, np.float32)
    found, variances = observe_depths(motion, before, after, np.zeros(300, np.float32), unknown)
    np.testing.assert_allclose(found, depths, atol=0.05)
    carried, _, _ = carry_depths(motion, before, depths, np.zeros((300, 2), np.float32), variances)
    plane = GlobalMotion(MATRIX, 1.0, 1.0, motion.epipole)
    expected, _, _ = carry_depths(
        plane, LENS.undistort(before), depths, np.zeros((300, 2), np.float32), variances
    )
    np.testing.assert_allclose(carried, expected, rtol=0.02, atol=0.02)


@pytest.fixture(scope="module")
def clip() -> tuple[LensScene, list[Frame], list[object]]:
    scene = LensScene(LENS, lambda size_wh: RoomScene(size_wh, "walk", 1))
    images = [scene.render(i) for i in range(60)]
    with SuperPoint(model="small") as superpoint:
        keypoints = [superpoint(image) for image in images]
    return scene, [Frame(i, i / 30, 0.0, image) for i, image in enumerate(images)], keypoints


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_the_lens_more_points_return(clip: tuple[LensScene, list[Frame], list[object]]) -> None:
    scene, frames, keypoints = clip
    found = {}
    for lens in (None, LENS):
        tracker, record = Tracker(), TrackRecord(scene, 1)
        for frame, detection in zip(frames, keypoints, strict=True):
            shown = Frame(frame.index, frame.time_s, 0.0, frame.image_bgr, lens=lens)
            record.add(tracker.update(shown, detection))  # type: ignore[arg-type]
        points = record.points()
        losses = track_losses(points, scene, 1, MAX_HIDDEN_FRAMES)
        found[lens is not None] = record.accuracy(points), losses
    blind, seeing = found[False][0], found[True][0]
    assert seeing.since_birth > 0.97
    assert seeing.returned > blind.returned + 0.15
    assert seeing.tap_average_jaccard > blind.tap_average_jaccard


def test_a_tracker_with_a_lens_is_saved_and_restored() -> None:
    with SuperPoint(model="small", resize="320") as superpoint:
        scene = LensScene(LENS.scaled((320, 240)), lambda size_wh: RoomScene(size_wh, "walk", 1))
        frames = [Frame(i, i / 30, 0.0, scene.render(i), lens=LENS.scaled((320, 240))) for i in range(8)]
        tracker = Tracker()
        for frame in frames[:4]:
            tracker.update(frame, superpoint(frame.image_bgr))
        again = restore_tracker(save_tracker(tracker))
        for frame in frames[4:]:
            keypoints = superpoint(frame.image_bgr)
            np.testing.assert_array_equal(
                tracker.update(frame, keypoints).xy, again.update(frame, keypoints).xy
            )


def test_another_lens_is_another_scene() -> None:
    with SuperPoint(model="small", resize="320") as superpoint:
        image = LensScene(LENS.scaled((320, 240)), lambda size_wh: RoomScene(size_wh, "walk", 1)).render(0)
        keypoints, tracker = superpoint(image), Tracker()
        first = tracker.update(Frame(0, 0.0, 0.0, image, lens=LENS.scaled((320, 240))), keypoints)
        second = tracker.update(Frame(1, 0.03, 0.0, image), keypoints)
    assert len(first.ids)
    assert not np.isin(second.ids, first.ids).any()
