from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.tracking.motion import GlobalMotion
from realtime_kp.tracking.parallax import UNKNOWN, carry_depths, fit_motion, observe_depths
from tests.tracking.rigid_world import Camera, cloud, wall

FIRST, SECOND = Camera(), Camera(0.08, -0.02, 0.1, 0.7)


def gaps_px(motion: GlobalMotion, before: np.ndarray, after: np.ndarray, depths: np.ndarray) -> np.ndarray:
    return np.linalg.norm(motion.apply(before, depths) - after, axis=1)


def fitted(outliers: int = 0) -> tuple[GlobalMotion, np.ndarray, np.ndarray, np.ndarray]:
    points = cloud()
    (before, depth), (after, _) = FIRST.see(points), SECOND.see(points)
    inverse = (1 / depth).astype(np.float32)
    wrong = after.copy()
    wrong[:outliers] += 15
    motion = fit_motion(before, wrong, inverse)
    assert motion is not None
    return motion, before, after, inverse


def test_a_rigid_motion_is_exact_for_all_depths() -> None:
    motion, before, after, inverse = fitted()
    assert gaps_px(motion, before, after, inverse).max() < 0.01
    flat = GlobalMotion(motion.matrix, 1.0, 1.0)
    assert np.median(gaps_px(flat, before, after, inverse)) > 2


def test_a_fifth_of_outliers_does_not_move_it() -> None:
    motion, before, after, inverse = fitted(outliers=60)
    assert gaps_px(motion, before, after, inverse).max() < 0.05


def test_too_few_points_or_one_place_give_no_motion() -> None:
    points = cloud(20)
    xy, depth = FIRST.see(points)
    assert fit_motion(xy, xy, (1 / depth).astype(np.float32)) is None
    same = np.full((60, 2), 100, np.float32)
    found = fit_motion(same, same, np.ones(60, np.float32))
    assert found is None or np.isfinite(found.apply(same, np.ones(60, np.float32))).all()


def test_an_inverse_depth_is_learned_from_one_step_and_known_better_after_ten() -> None:
    motion, before, after, inverse = fitted()
    rng = np.random.default_rng(1)
    guess, unknown = np.zeros_like(inverse), np.full(len(inverse), UNKNOWN)
    noisy = (after + rng.normal(0, 0.1, after.shape)).astype(np.float32)
    once, variances = observe_depths(motion, before, noisy, guess, unknown)
    first = np.abs(once - inverse)
    assert np.median(first) < 0.02
    assert 0.5 < np.mean(first <= np.sqrt(variances)) < 0.85
    for _ in range(9):
        noisy = (after + rng.normal(0, 0.1, after.shape)).astype(np.float32)
        once, variances = observe_depths(motion, before, noisy, once, variances)
    assert np.median(np.abs(once - inverse)) < np.median(first) / 2


def test_depths_and_slopes_are_carried_to_the_next_frame() -> None:
    pixels = np.random.default_rng(2).uniform((40, 40), (600, 440), (200, 2))
    points = np.concatenate([wall(pixels), cloud(100)])
    (before, depth), (after, depth_after) = FIRST.see(points), SECOND.see(points)
    inverse = (1 / depth).astype(np.float32)
    slopes = np.zeros((len(points), 2), np.float32)
    # On the wall 1/Z falls by slant / (depth · focal length) a pixel to the right.
    slopes[:, 0] = -0.5 / (4.0 * 576)
    motion = fit_motion(before, after, inverse)
    assert motion is not None
    carried, turned, _ = carry_depths(motion, before, inverse, slopes, np.ones(len(points), np.float32))
    ratio = carried * depth_after
    assert ratio == pytest.approx(np.median(ratio), rel=1e-3)
    on_wall = slice(0, 200)
    across = np.c_[after[on_wall], np.ones(200)]
    plane = np.linalg.lstsq(across, carried[on_wall], rcond=None)[0]
    np.testing.assert_allclose(turned[on_wall], np.tile(plane[:2], (200, 1)), rtol=0.02, atol=1e-6)


def test_the_jacobian_follows_a_slanted_surface() -> None:
    pixels = np.random.default_rng(3).uniform((40, 40), (600, 440), (60, 2))
    points = wall(pixels)
    (before, depth), (after, _) = FIRST.see(points), SECOND.see(points)
    others = cloud(100)
    motion = fit_motion(
        np.concatenate([before, FIRST.see(others)[0]]),
        np.concatenate([after, SECOND.see(others)[0]]),
        np.concatenate([1 / depth, 1 / FIRST.see(others)[1]]).astype(np.float32),
    )
    assert motion is not None
    slopes = np.tile(np.array([-0.5 / (4.0 * 576), 0], np.float32), (60, 1))
    step = np.array([2.0, 0])
    beside = SECOND.see(wall(pixels + step))[0]
    truth = (beside - after) / 2
    inverse = (1 / depth).astype(np.float32)
    with_slope = motion.jacobian(before, inverse, slopes)[:, :, 0]
    np.testing.assert_allclose(with_slope, truth, atol=2e-3)
    without = motion.jacobian(before, inverse)[:, :, 0]
    assert np.abs(without - truth).max() > 5e-3


def test_slopes_of_a_surface_that_turns_edge_on_do_not_grow_for_ever() -> None:
    motion = GlobalMotion(np.eye(3), 1.0, 1.0, np.array([40.0, 0.0, 0.0]))
    xy, depths, variances = np.zeros((1, 2), np.float32), np.ones(1, np.float32), np.ones(1, np.float32)
    slopes = np.array([[-0.02, 0.01]], np.float32)
    for _ in range(80):
        _, slopes, _ = carry_depths(motion, xy, depths, slopes, variances)
    assert np.abs(slopes).max() < 1
