"""Lenses found from rendered boards whose lens is known."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.errors import ArgumentError, SourceError
from realtime_kp.lens import Lens
from realtime_kp.lens.board import Board, BoardView
from realtime_kp.lens.calibration import ViewCollector, calibrate
from tests.lens.boards import SQUARE_M, charuco, chessboard, rays_of, shown, views

RADIAL = Lens((640, 480), (520.0, 516.0), (322.0, 236.0), (-0.28, 0.09, 0.001, -0.0005, -0.01))
FISHEYE = Lens((640, 480), (300.0, 300.0), (320.0, 240.0), (0.02, -0.01, 0.003, -0.001), "fisheye")


def collected(board: Board, pictures: list[np.ndarray]) -> list[BoardView]:
    collector = ViewCollector()
    for picture in pictures:
        view = board.find(picture)
        if view is not None:
            collector.add(view)
    return collector.views


@pytest.mark.parametrize("lens", [RADIAL, FISHEYE], ids=["radial", "fisheye"])
@pytest.mark.parametrize("kind", ["chessboard", "charuco"])
@pytest.mark.timeout(600)
def test_the_focal_length_is_found(lens: Lens, kind: str) -> None:
    if kind == "chessboard":
        board, pictures = Board((9, 6), SQUARE_M), views(chessboard((9, 6)), (10, 7), lens, 24)
    else:
        board, pictures = Board((9, 6), SQUARE_M, "4X4_50"), views(charuco((9, 6)), (9, 6), lens, 24)
    found = calibrate(collected(board, pictures), lens.model)
    np.testing.assert_allclose(found.lens.focal_xy, lens.focal_xy, rtol=0.005)
    np.testing.assert_allclose(found.lens.centre_xy, lens.centre_xy, atol=2.5)
    assert found.error_px < 0.3
    # What counts in the end are directions, all over the picture, as seen by a camera that may be turned.
    grid = np.stack(np.meshgrid(np.arange(20, 640, 50), np.arange(20, 480, 50)), axis=2).reshape(-1, 2)
    gap = found.lens.normalised(grid.astype(float)) - lens.normalised(grid.astype(float))
    assert np.median(np.abs(gap - np.median(gap, axis=0))) * lens.focal_xy[0] < 0.7


@pytest.fixture(scope="module")
def good() -> list[BoardView]:
    return collected(Board((9, 6), SQUARE_M), views(chessboard((9, 6)), (10, 7), RADIAL, 16))


def test_views_of_another_board_are_left_out(good: list[BoardView]) -> None:
    wrong = good[0]
    bent = BoardView(
        wrong.image_xy + np.random.default_rng(0).normal(0, 4, wrong.image_xy.shape).astype(np.float32),
        wrong.board_m,
        wrong.outline_xy,
        wrong.size_wh,
    )
    found = calibrate([*good, bent], "radial-tangential")
    assert found.views == len(good)
    np.testing.assert_allclose(found.lens.focal_xy, RADIAL.focal_xy, rtol=0.01)


def test_few_views_are_refused(good: list[BoardView]) -> None:
    with pytest.raises(SourceError, match="5 views of the board are too few, 8 at least"):
        calibrate(good[:5], "radial-tangential")


def test_views_from_one_side_are_refused() -> None:
    rays, board = rays_of(RADIAL), chessboard((9, 6))
    alike = [
        shown(board, np.eye(3), np.array([-0.15 + x, -0.1 + y, 0.5]), rays)
        for x in (-0.12, 0.0, 0.12)
        for y in (-0.08, 0.0, 0.08)
    ]
    with pytest.raises(SourceError, match="too much alike"):
        calibrate(collected(Board((9, 6), SQUARE_M), alike), "radial-tangential")


def test_views_in_one_corner_are_refused(good: list[BoardView]) -> None:
    small = [BoardView(view.image_xy / 4, view.board_m, view.outline_xy / 4, view.size_wh) for view in good]
    with pytest.raises(SourceError, match=r"seen in \d+% of the picture only"):
        calibrate(small, "radial-tangential")


def test_a_board_that_stands_still_is_one_view(good: list[BoardView]) -> None:
    collector = ViewCollector()
    assert [collector.add(view) for view in (good[0], good[0], good[1])] == [True, False, True]
    assert collector.coverage == collector.covered.mean() > 0


@pytest.mark.parametrize("scale", [1, 3])
def test_corners_are_exact_in_pictures_of_any_size(scale: int) -> None:
    lens = Lens((640, 480), (520.0, 516.0), (322.0, 236.0)).stretched((scale * 640, scale * 480))
    middle_m = np.array([-0.14, -0.1, 0.5])
    view = Board((9, 6), SQUARE_M).find(shown(chessboard((9, 6)), np.eye(3), middle_m, rays_of(lens)))
    assert view is not None
    # The first inner corner is a square away from where the board begins.
    places = (np.mgrid[1:10, 1:7].T.reshape(-1, 2) * SQUARE_M + middle_m[:2]) / middle_m[2]
    truth = places * lens.focal_xy + lens.centre_xy
    gaps = np.linalg.norm(view.image_xy[:, None] - truth, axis=2).min(axis=1)
    assert np.median(gaps) < 0.2
    assert gaps.max() < 0.6


def test_no_board() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    assert Board((9, 6), SQUARE_M).find(noise) is None
    assert Board((9, 6), SQUARE_M, "4X4_50").find(noise) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((2, 6), 0.03), "at least 3x3"),
        (((9, 6), 0.0), "above 0 m"),
        (((9, 6), 0.03, "9X9_1"), "no dictionary"),
        (((9, 6), 0.03, "4X4_50", 0.04), "smaller than the squares"),
    ],
)
def test_impossible_boards(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Board(*arguments)  # type: ignore[arg-type]
