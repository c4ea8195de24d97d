from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_kp.lens import Lens, StraightView
from tests.lens.boards import chessboard, rays_of, shown

SIZE_WH = (640, 480)
LENSES = [
    Lens(SIZE_WH, (400.0, 400.0), (322.0, 236.0), (-0.3, 0.09, 0.001, -0.0005, -0.01)),
    Lens(SIZE_WH, (300.0, 300.0), (320.0, 240.0), (0.02, -0.01, 0.003, -0.001), "fisheye"),
    Lens(SIZE_WH, (190.0, 190.0), (319.5, 239.5), (0.0, 0.0, 0.0, 0.0), "fisheye"),
    Lens(SIZE_WH, (500.0, 500.0), (319.5, 239.5)),
]


@pytest.mark.parametrize("lens", LENSES[:2])
def test_straight_lines_are_straight(lens: Lens) -> None:
    view = StraightView.of(lens)
    picture = shown(chessboard((9, 6)), np.eye(3), np.array([-0.15, -0.1, 0.22]), rays_of(lens))
    found, corners = cv2.findChessboardCornersSB(view.image(picture)[..., 0], (9, 6))
    assert found
    for row in corners.reshape(6, 9, 2):
        direction, middle = np.linalg.svd(row - row.mean(axis=0))[2][1], row.mean(axis=0)
        assert np.abs((row - middle) @ direction).max() < 0.3


@pytest.mark.parametrize("lens", LENSES)
def test_positions_go_with_the_picture(lens: Lens) -> None:
    view = StraightView.of(lens)
    for x, y in ((200, 150), (320, 240), (420, 330)):
        picture = np.zeros((480, 640), np.uint8)
        cv2.circle(picture, (x, y), 4, 255, -1)
        straight = view.image(picture).astype(np.float64)
        rows, columns = np.nonzero(straight)
        weights = straight[rows, columns]
        centre = np.average(np.stack([columns, rows], axis=1), axis=0, weights=weights)
        np.testing.assert_allclose(view.from_source(np.array([[x, y]], np.float32))[0], centre, atol=0.6)


@pytest.mark.parametrize("lens", LENSES)
def test_there_and_back(lens: Lens) -> None:
    view = StraightView.of(lens)
    rng = np.random.default_rng(0)
    # Where a fisheye sees to the side, little of it is on the straightened picture.
    places = (rng.uniform(0.2, 0.8, (200, 2)) * SIZE_WH).astype(np.float32)
    np.testing.assert_allclose(view.to_source(view.from_source(places)), places, atol=0.2)


def test_unknown_positions_stay_unknown() -> None:
    there = StraightView.of(LENSES[0]).from_source(np.array([[np.nan, np.nan], [320, 240]], np.float32))
    assert np.isnan(there[0]).all()
    assert np.isfinite(there[1]).all()


@pytest.mark.parametrize("lens", LENSES)
def test_no_part_of_the_straightened_picture_is_black(lens: Lens) -> None:
    straight = StraightView.of(lens).image(np.full((480, 640, 3), 255, np.uint8))
    assert (straight[2:-2, 2:-2] == 0).mean() < 0.002
