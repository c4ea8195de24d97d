from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_kp.sources import procedural_picture
from realtime_kp.training.labels import Labels
from realtime_kp.training.shapes import draw_tiles

PLAIN = np.full((1, 352, 352), 128, np.uint8)


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, Labels]:
    return draw_tiles(6, 3, PLAIN)


def test_tiles_have_corners_well_inside(drawn: tuple[np.ndarray, Labels]) -> None:
    tiles, labels = drawn
    assert tiles.shape == (6, 352, 352)
    assert tiles.dtype == np.uint8
    for xy, mass in zip(labels.xy, labels.mass, strict=True):
        count = np.count_nonzero(mass)
        assert count > 8
        assert (mass[:count] == 1).all()
        assert (xy[:count] >= 4).all()
        assert (xy[:count] <= 347).all()


def test_corners_are_where_the_labels_say(drawn: tuple[np.ndarray, Labels]) -> None:
    for tile, xy, mass in zip(*drawn_parts(drawn), strict=True):
        labels = xy[mass > 0]
        strength = cv2.cornerMinEigenVal(tile, 5)
        x, y = labels.round().astype(int).T
        nearby = cv2.dilate(strength, np.ones((5, 5)))
        # Few pixels of a picture look like corners: these do.
        assert np.median(nearby[y, x]) > np.percentile(strength, 97)


def test_labels_are_exact_to_a_part_of_a_pixel(drawn: tuple[np.ndarray, Labels]) -> None:
    moved = []
    for tile, xy, mass in zip(*drawn_parts(drawn), strict=True):
        labels = xy[mass > 0]
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01)
        found = cv2.cornerSubPix(tile, labels[:, None].copy(), (4, 4), (-1, -1), criteria)[:, 0]
        moved.append(found - labels)
    shift = np.concatenate(moved)
    shift = shift[np.abs(shift).max(axis=1) < 2]
    assert len(shift) > 60
    assert np.abs(np.median(shift, axis=0)).max() < 0.1
    assert np.median(np.linalg.norm(shift, axis=1)) < 0.4


def test_equal_seeds_draw_equal_tiles(drawn: tuple[np.ndarray, Labels]) -> None:
    again, labels = draw_tiles(6, 3, PLAIN)
    np.testing.assert_array_equal(again, drawn[0])
    np.testing.assert_array_equal(labels.xy, drawn[1].xy)
    assert (draw_tiles(6, 4, PLAIN)[0] != drawn[0]).any()


def test_no_label_stands_where_nothing_can_be_seen() -> None:
    """Of hundreds of polygons a few have by chance the grey of what is behind them."""
    tiles, labels = draw_tiles(30, 1, PLAIN)
    for tile, xy, mass in zip(tiles, labels.xy, labels.mass, strict=True):
        smooth = cv2.GaussianBlur(tile, (0, 0), 1.5).astype(np.float32)
        x, y = xy[mass > 0].round().astype(int).T
        reach = np.ones((9, 9))
        contrast = cv2.dilate(smooth, reach) - cv2.erode(smooth, reach)
        assert contrast[y, x].min() > 8


def test_progress_is_told() -> None:
    told: list[int] = []
    draw_tiles(3, 0, PLAIN, told.append)
    assert told == [1, 2, 3]


def test_textures_are_used() -> None:
    picture = cv2.cvtColor(procedural_picture((352, 352), 0), cv2.COLOR_BGR2GRAY)
    assert (draw_tiles(4, 3, picture[None])[0] != draw_tiles(4, 3, PLAIN)[0]).any()


def test_none_are_none() -> None:
    tiles, labels = draw_tiles(0, 0, PLAIN)
    assert tiles.shape == (0, 352, 352)
    assert len(labels.xy) == len(labels.mass) == 0


def drawn_parts(drawn: tuple[np.ndarray, Labels]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tiles, labels = drawn
    return tiles, labels.xy, labels.mass
