from __future__ import annotations

import cv2
import numpy as np

from realtime_kp.evaluation.plane_mask import off_plane
from realtime_kp.sources import procedural_picture

TILT = np.array([[0.9, -0.1, 40], [0.08, 1.0, -12], [2e-4, 1e-5, 1]])
WIDTH, HEIGHT = 480, 320
LEDGE_Y = 220


def wall_with_a_ledge(nearer_px: float) -> tuple[np.ndarray, np.ndarray]:
    """A plane, and below `LEDGE_Y` what stands before it by so many pixels of the second picture."""
    first = procedural_picture((WIDTH, HEIGHT), 4)
    shift = np.array([[1, 0, nearer_px], [0, 1, 0], [0, 0, 1.0]])
    wall, ledge = (cv2.warpPerspective(first, matrix, (WIDTH, HEIGHT)) for matrix in (TILT, shift @ TILT))
    below = np.zeros((HEIGHT, WIDTH), np.uint8)
    below[LEDGE_Y:] = 1
    shows_ledge = cv2.warpPerspective(below, shift @ TILT, (WIDTH, HEIGHT)) > 0
    return first, np.where(shows_ledge[..., None], ledge, wall).astype(np.uint8)


def test_a_ledge_is_off_the_plane_and_the_wall_is_not() -> None:
    first, second = wall_with_a_ledge(6)
    found = off_plane(first, second, TILT, 3)
    assert found.shape == (HEIGHT, WIDTH)
    assert found[LEDGE_Y + 10 : HEIGHT - 40, 60 : WIDTH - 60].mean() > 0.8
    assert found[40 : LEDGE_Y - 15, 60 : WIDTH - 60].mean() < 0.02


def test_what_is_off_by_less_than_the_limit_belongs_to_the_plane() -> None:
    first, second = wall_with_a_ledge(2)
    assert off_plane(first, second, TILT, 3).mean() < 0.02


def test_another_picture_tells_nothing() -> None:
    first, second = procedural_picture((WIDTH, HEIGHT), 4), procedural_picture((200, 300), 9)
    found = off_plane(first, second, TILT, 3)
    assert found.shape == (HEIGHT, WIDTH)
    assert found.mean() < 0.05
