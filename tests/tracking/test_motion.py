from __future__ import annotations

import numpy as np

from realtime_kp.tracking.motion import estimate_motion, warp

RNG = np.random.default_rng(0)
HOMOGRAPHY = np.array([[1.02, -0.05, 12.0], [0.04, 0.99, -7.0], [4e-5, -3e-5, 1.0]])


def places(count: int) -> np.ndarray:
    return RNG.uniform((0, 0), (640, 480), (count, 2)).astype(np.float32)


def test_a_homography_is_found_among_outliers() -> None:
    before = places(200)
    after = warp(HOMOGRAPHY, before) + RNG.normal(0, 0.3, (200, 2)).astype(np.float32)
    after[:80] = places(80)
    motion = estimate_motion(before, after)
    assert motion is not None
    np.testing.assert_allclose(motion.apply(before[80:]), warp(HOMOGRAPHY, before[80:]), atol=1.0)
    assert 0.5 < motion.inlier_share < 0.75
    assert motion.spread_px < 1


def test_few_pairs_give_an_affine_map() -> None:
    before = places(12)
    motion = estimate_motion(before, before + np.float32(5))
    assert motion is not None
    np.testing.assert_allclose(motion.matrix, [[1, 0, 5], [0, 1, 5], [0, 0, 1]], atol=1e-2)


def test_chaos_gives_no_motion() -> None:
    assert estimate_motion(places(30), places(30)) is None


def test_too_few_or_equal_places_give_no_motion() -> None:
    assert estimate_motion(places(5), places(5)) is None
    same = np.ones((50, 2), np.float32)
    assert estimate_motion(same, same) is None


def test_a_mirrored_picture_is_no_motion() -> None:
    before = places(100)
    assert (
        estimate_motion(before, before * np.array([-1, 1], np.float32) + np.array([640, 0], np.float32))
        is None
    )


def test_equal_pairs_give_equal_motion() -> None:
    before = places(150)
    after = warp(HOMOGRAPHY, before) + RNG.normal(0, 0.5, (150, 2)).astype(np.float32)
    first, second = estimate_motion(before, after), estimate_motion(before, after)
    assert first is not None
    assert second is not None
    assert (first.matrix == second.matrix).all()
