from __future__ import annotations

import numpy as np

from realtime_kp.tracking.surfaces import depths_from_neighbours, slopes_from_neighbours


def plane(xy: np.ndarray) -> np.ndarray:
    return (0.4 + 0.002 * xy[:, 0] - 0.001 * xy[:, 1]).astype(np.float32)


def grid(step: float = 9.0) -> np.ndarray:
    return (
        np.stack(np.meshgrid(np.arange(0, 200, step), np.arange(0, 120, step)), -1)
        .reshape(-1, 2)
        .astype(np.float32)
    )


def test_the_slope_of_a_plane() -> None:
    known = grid()
    xy = np.array([[60, 60], [100, 40]], np.float32)
    slopes = slopes_from_neighbours(xy, plane(xy), known, plane(known))
    np.testing.assert_allclose(slopes, [[0.002, -0.001]] * 2, rtol=0.02)


def test_a_surface_before_it_does_not_count() -> None:
    known = grid()
    depths = plane(known)
    before = known[:, 0] > 110
    depths[before] += 1.5
    xy = np.array([[104, 60]], np.float32)
    slopes = slopes_from_neighbours(xy, plane(xy), known, depths)
    np.testing.assert_allclose(slopes, [[0.002, -0.001]], rtol=0.1)


def test_a_point_without_neighbours_has_no_slope() -> None:
    far = np.array([[900, 900]], np.float32)
    known = grid()
    assert np.abs(slopes_from_neighbours(far, plane(far), known, plane(known))).max() < 1e-6


def test_depths_are_those_of_the_nearest_points() -> None:
    known = grid()
    xy = np.array([[61, 59], [20, 100]], np.float32)
    depths, variances = depths_from_neighbours(xy, known, plane(known))
    np.testing.assert_allclose(depths, plane(xy), atol=0.02)
    assert (variances >= 0.25).all()
    one, _ = depths_from_neighbours(xy, known[:1], plane(known[:1]))
    np.testing.assert_allclose(one, plane(known[:1])[0])
