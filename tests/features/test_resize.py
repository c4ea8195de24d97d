from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_kp.features.resize import network_size, to_network, to_source


@pytest.mark.parametrize(
    ("source_wh", "resize", "expected"),
    [
        ((640, 480), "640", (640, 480)),
        ((1920, 1080), "640", (640, 360)),
        ((1080, 1920), "640", (360, 640)),
        ((1281, 721), "640", (640, 360)),
        ((320, 240), "640", (640, 480)),
        ((1920, 1080), "640x480", (640, 480)),
        ((5000, 40), "640", (640, 32)),
    ],
)
def test_network_size(source_wh: tuple[int, int], resize: str, expected: tuple[int, int]) -> None:
    assert network_size(source_wh, resize) == expected


def test_grey_weighs_the_colours_as_the_eye_does() -> None:
    blue, green, red = (np.full((32, 32, 3), 0, np.uint8) for _ in range(3))
    blue[..., 0] = green[..., 1] = red[..., 2] = 255
    levels = [int(to_network(image, (32, 32))[0, 0]) for image in (blue, green, red)]
    assert levels == [29, 150, 76]


@pytest.mark.parametrize("size_wh", [(320, 240), (1280, 960), (640, 360)])
def test_a_dot_comes_back_to_where_it_was(size_wh: tuple[int, int]) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, (423, 131), 9, (255, 255, 255), -1, cv2.LINE_AA)
    small = to_network(image, size_wh).astype(np.float64)
    y, x = np.mgrid[: size_wh[1], : size_wh[0]]
    centre = np.array([[(x * small).sum(), (y * small).sum()]], np.float32) / np.float32(small.sum())
    np.testing.assert_allclose(to_source(centre, (640, 480), size_wh), [[423, 131]], atol=0.1)


def test_pixel_centres_are_kept() -> None:
    corner = np.array([[0.0, 0.0]], np.float32)
    np.testing.assert_allclose(to_source(corner, (1280, 720), (640, 360)), [[0.5, 0.5]])
