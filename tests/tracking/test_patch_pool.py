"""Alignment of a picture to key patches, where the motion is known."""

import cv2
import numpy as np
import pytest

from realtime_kp.tracking.key_patches import cut_patches
from realtime_kp.tracking.patch_pool import PatchPool
from realtime_kp.tracking.patch_sampling import identity_maps
from tests.tracking.world import grained_picture

SIZE_WH = (320, 240)
TURNED = np.array([[1.12, 0.12], [-0.1, 0.92]], np.float32)


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    picture = cv2.cvtColor(grained_picture(SIZE_WH, 3), cv2.COLOR_BGR2GRAY)
    return cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32)


@pytest.fixture(scope="module")
def corners(grey: np.ndarray) -> np.ndarray:
    found = cv2.goodFeaturesToTrack(grey, 40, 0.05, 20).reshape(-1, 2)
    inside = (found > 25).all(axis=1) & (found < np.array(SIZE_WH) - 25).all(axis=1)
    return found[inside].astype(np.float32)


def _moved(grey: np.ndarray, linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture under an affine map about its centre, with noise, and the map."""
    centre, shift = np.array(SIZE_WH, np.float32) / 2, np.array([3.3, -2.6], np.float32)
    matrix = np.hstack([linear, (centre + shift - linear @ centre)[:, None]]).astype(np.float64)
    moved = cv2.warpAffine(grey, matrix, SIZE_WH, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(0).normal(0, 2, moved.shape)
    return (0.8 * moved + 20 + noise).astype(np.float32), matrix


def _truth(matrix: np.ndarray, xy: np.ndarray) -> np.ndarray:
    return (xy @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def test_alignment_finds_a_shift_also_in_other_light(grey: np.ndarray, corners: np.ndarray) -> None:
    pool = PatchPool()
    slots = pool.put(cut_patches(grey, corners))
    moved, matrix = _moved(grey, np.eye(2, dtype=np.float32))
    truth = _truth(matrix, corners)
    xy, correlation = pool.align(moved, slots, truth + np.float32(1.2), identity_maps(len(corners)))
    assert len(corners) >= 15
    assert np.median(np.linalg.norm(xy - truth, axis=1)) < 0.1
    assert np.median(correlation) > 0.95


def test_alignment_of_shape_finds_shift_and_affine_map_together(
    grey: np.ndarray, corners: np.ndarray
) -> None:
    pool = PatchPool()
    slots = pool.put(cut_patches(grey, corners))
    moved, matrix = _moved(grey, TURNED)
    truth, start = _truth(matrix, corners), identity_maps(len(corners))
    xy, affine, correlation = pool.align_with_shape(moved, slots, truth + np.float32(0.8), start, 0.3)
    _, stiff = pool.align(moved, slots, truth + np.float32(0.8), start)
    assert np.median(np.linalg.norm(xy - truth, axis=1)) < 0.1
    assert np.median(np.abs(affine - TURNED).max(axis=(1, 2))) < 0.03
    assert np.median(correlation) > 0.98 > np.median(stiff)


def test_alignment_of_shape_leaves_its_arguments_alone(grey: np.ndarray, corners: np.ndarray) -> None:
    pool = PatchPool()
    slots = pool.put(cut_patches(grey, corners))
    start_xy, start_maps = corners + np.float32(0.5), identity_maps(len(corners))
    pool.align_with_shape(grey, slots, start_xy, start_maps, 0.3)
    np.testing.assert_array_equal(start_xy, corners + np.float32(0.5))
    np.testing.assert_array_equal(start_maps, identity_maps(len(corners)))


def test_what_is_not_there_does_not_resemble_its_key_patch(grey: np.ndarray, corners: np.ndarray) -> None:
    pool = PatchPool()
    slots = pool.put(cut_patches(grey, corners))
    other = np.random.default_rng(1).uniform(0, 255, grey.shape).astype(np.float32)
    other = cv2.GaussianBlur(other, (0, 0), 2.0)
    *_, correlation = pool.align_with_shape(other, slots, corners, identity_maps(len(corners)), 0.3)
    assert np.percentile(correlation, 90) < 0.9


def test_a_patch_that_turned_too_far_is_refused(grey: np.ndarray, corners: np.ndarray) -> None:
    pool = PatchPool()
    slots = pool.put(cut_patches(grey, corners))
    moved, matrix = _moved(grey, TURNED)
    start = identity_maps(len(corners))
    *_, correlation = pool.align_with_shape(moved, slots, _truth(matrix, corners), start, 0.05)
    assert np.median(correlation) == 0


def test_at_the_border_the_affine_map_stays(grey: np.ndarray) -> None:
    pool = PatchPool()
    xy = np.array([[160, 4], [4, 120], [160, 120]], np.float32)
    slots = pool.put(cut_patches(grey, xy))
    moved, _ = _moved(grey, TURNED)
    _, affine, _ = pool.align_with_shape(moved, slots, xy, identity_maps(3), 9.0)
    adapted = pool.adapt(moved, slots, xy, identity_maps(3))
    for maps in (affine, adapted):
        np.testing.assert_array_equal(maps[:2], identity_maps(2))
        assert np.abs(maps[2] - np.eye(2)).max() > 0.01
