from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.evaluation.occlusions import find_occlusions

NAN = np.nan


def count(errors_px: np.ndarray, visible: np.ndarray, max_hidden: int) -> tuple[int, int, int]:
    found = find_occlusions(errors_px, visible, max_hidden)
    return len(found), int(found.returned.sum()), int(found.wrong.sum())


@pytest.mark.parametrize(
    ("errors", "visible", "counted"),
    [
        ([0, 0.1, NAN, NAN, 0.5, 0, 0, 0, 0], [1, 1, 0, 0, 1, 1, 1, 1, 1], (1, 1, 0)),
        ([0, 0.1, NAN, NAN, 9.0, 0, 0, 0, 0], [1, 1, 0, 0, 1, 1, 1, 1, 1], (1, 0, 1)),
        ([0, 0.1, NAN, NAN, NAN, NAN, NAN, NAN, NAN], [1, 1, 0, 0, 1, 1, 1, 1, 1], (1, 0, 0)),
        ([0, NAN, NAN, NAN, 0.5, 0, 0, 0, 0], [1, 1, 1, 0, 1, 1, 1, 1, 1], (0, 0, 0)),
        ([0, 0.1, NAN, NAN, 0.5, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 1, 1, 1], (0, 0, 0)),
        ([0, 0.1, NAN, NAN, NAN, NAN, NAN, NAN, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0], (0, 0, 0)),
    ],
    ids=["right", "wrong", "never", "lost before", "too near the end", "stays hidden"],
)
def test_returns_are_counted(errors: list[float], visible: list[int], counted: tuple[int, int, int]) -> None:
    assert count(np.array([errors]), np.array([visible], bool), max_hidden=30) == counted


def test_spells_that_are_too_long_do_not_count() -> None:
    visible = np.array([[1, 0, 0, 0, 0, 1, 1, 1, 1, 1]], bool)
    errors = np.array([[0.0, NAN, NAN, NAN, NAN, 0, 0, 0, 0, 0]])
    assert count(errors, visible, max_hidden=4) == (1, 1, 0)
    assert count(errors, visible, max_hidden=3) == (0, 0, 0)


def test_points_that_left_the_picture_are_told_from_those_behind_something() -> None:
    visible = np.array([[1, 1, 0, 0, 1, 1, 1, 1, 1], [1, 1, 0, 0, 1, 1, 1, 1, 1]], bool)
    inside = np.ones_like(visible)
    inside[1, 3] = False
    found = find_occlusions(np.where(visible, 0.1, NAN), visible, 30)
    assert found.outside(inside).tolist() == [False, True]
    assert found.returned.all()
