from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_kp.render.dots import draw_dots

RED = np.array([[0, 0, 255]], np.uint8)


def blank(size_wh: tuple[int, int] = (40, 30)) -> np.ndarray:
    return np.zeros((size_wh[1], size_wh[0], 3), np.uint8)


@pytest.mark.parametrize("thickness", [None, 1, 2])
@pytest.mark.parametrize("radius", [1.2, 2.0, 4.8])
@pytest.mark.parametrize(("x", "y"), [(20.0, 15.0), (20.25, 14.5), (19.75, 14.75)])
def test_a_dot_looks_as_opencv_draws_it(x: float, y: float, radius: float, thickness: int | None) -> None:
    image, expected = blank(), blank()
    draw_dots(image, np.array([[x, y]], np.float32), RED, radius, thickness)
    place = (round(x * 16), round(y * 16))
    cv2.circle(expected, place, round(radius * 16), (0, 0, 255), thickness or cv2.FILLED, cv2.LINE_AA, 4)
    np.testing.assert_allclose(image.astype(int), expected, atol=1)


def test_each_dot_has_its_own_colour() -> None:
    image = blank()
    colours = np.array([[1, 2, 3], [40, 50, 60]], np.uint8)
    draw_dots(image, np.array([[10, 10], [30, 20]], np.float32), colours, 2.0)
    assert image[10, 10].tolist() == [1, 2, 3]
    assert image[20, 30].tolist() == [40, 50, 60]
    assert not image[10, 30].any()


def test_later_dots_cover_earlier_ones() -> None:
    image = blank()
    colours = np.array([[1, 2, 3], [40, 50, 60]], np.uint8)
    draw_dots(image, np.array([[10, 10], [11, 10]], np.float32), colours, 3.0)
    assert image[10, 10].tolist() == [40, 50, 60]


@pytest.mark.parametrize("place", [(0, 0), (39, 29), (-1, 15), (1e12, -1e12), (20, 31)])
def test_what_lies_outside_is_cut_off(place: tuple[float, float]) -> None:
    image, larger = blank(), blank((80, 70))
    xy = np.array([place], np.float32)
    draw_dots(image, xy, RED, 3.0, 1)
    draw_dots(larger, xy + 20, RED, 3.0, 1)
    np.testing.assert_array_equal(image, larger[20:50, 20:60])


def test_a_part_of_a_picture_can_be_drawn_on() -> None:
    image = blank()
    draw_dots(image[5:20, 10:30], np.array([[3, 4]], np.float32), RED, 1.0)
    assert image[9, 13].tolist() == [0, 0, 255]


def test_no_dots_leave_the_picture_as_it_is() -> None:
    image = blank()
    draw_dots(image, np.zeros((0, 2), np.float32), np.zeros((0, 3), np.uint8), 2.0)
    assert not image.any()
