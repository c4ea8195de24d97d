from __future__ import annotations

import numpy as np

from realtime_kp.tracking.parallax import fit_motion
from realtime_kp.tracking.two_views import has_parallax, structure_from_two_views
from tests.tracking.rigid_world import Camera, cloud, wall

FIRST, LATER, NEXT = Camera(), Camera(0.25, 0.05, 0.15, 2.0), Camera(0.30, 0.06, 0.18, 2.3)


def noisy(xy: np.ndarray, seed: int) -> np.ndarray:
    return (xy + np.random.default_rng(seed).normal(0, 0.08, xy.shape)).astype(np.float32)


def test_structure_from_two_views_predicts_a_third() -> None:
    points = cloud(400)
    before, after = noisy(FIRST.see(points)[0], 0), noisy(LATER.see(points)[0], 1)
    assert has_parallax(before, after)
    found = structure_from_two_views(before, after)
    assert found is not None
    assert found.good.mean() > 0.95
    third = noisy(NEXT.see(points)[0], 2)
    # Half of the points tell the motion, the other half are predicted.
    motion = fit_motion(after[::2], third[::2], found.inverse_depths[::2])
    assert motion is not None
    gap = np.linalg.norm(
        motion.apply(after[1::2], found.inverse_depths[1::2]) - NEXT.see(points)[0][1::2], axis=1
    )
    assert np.quantile(gap, 0.95) < 0.4


def test_points_that_move_by_themselves_are_told() -> None:
    points = cloud(400)
    before, after = noisy(FIRST.see(points)[0], 0), noisy(LATER.see(points)[0], 1)
    after[:40, 1] += 12
    found = structure_from_two_views(before, after)
    assert found is not None
    assert found.good[:40].mean() < 0.2
    assert found.good[40:].mean() > 0.95


def test_a_flat_scene_has_no_parallax() -> None:
    pixels = np.random.default_rng(0).uniform((20, 20), (620, 460), (300, 2))
    points = wall(pixels)
    before, after = noisy(FIRST.see(points)[0], 0), noisy(LATER.see(points)[0], 1)
    assert not has_parallax(before, after)
    assert structure_from_two_views(before, after) is None


def test_a_camera_that_only_turns_sees_none() -> None:
    points = cloud(300)
    before, after = noisy(FIRST.see(points)[0], 0), noisy(Camera(yaw_deg=3.0).see(points)[0], 1)
    assert not has_parallax(before, after)
    assert structure_from_two_views(before, after) is None


def test_points_that_all_move_as_they_like_have_no_structure() -> None:
    before = FIRST.see(cloud(300))[0]
    after = (before + np.random.default_rng(1).normal(0, 8, before.shape)).astype(np.float32)
    assert structure_from_two_views(before, after) is None


def test_few_points_are_not_asked() -> None:
    points = cloud(60)
    assert not has_parallax(FIRST.see(points)[0], LATER.see(points)[0])
