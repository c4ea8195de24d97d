from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_kp.tracking.usac import usac_fit

BEFORE = np.random.default_rng(0).uniform(0, 400, (60, 2)).astype(np.float32)
SHIFT = np.array([5, -3], np.float32)


def test_a_shift_with_outliers() -> None:
    after = BEFORE + SHIFT
    after[:10] += 40 * np.arange(1, 11, dtype=np.float32)[:, None]
    matrix, inliers = usac_fit(cv2.findHomography, BEFORE, after, 1.0, confidence=0.99, iterations=500)
    assert matrix is not None
    np.testing.assert_allclose(matrix / matrix[2, 2], [[1, 0, 5], [0, 1, -3], [0, 0, 1]], atol=1e-3)
    assert inliers.tolist() == [False] * 10 + [True] * 50


def test_after_a_degenerate_sample_others_are_tried() -> None:
    states = []

    def method(*given: object) -> object:
        states.append(given[2].randomGeneratorState)  # type: ignore[attr-defined]
        if len(states) < 3:
            raise cv2.error("!model.empty()")
        return cv2.findHomography(*given)  # type: ignore[call-overload]

    matrix, inliers = usac_fit(method, BEFORE, BEFORE + SHIFT, 1.0, confidence=0.99, iterations=500, seed=7)
    assert matrix is not None
    assert inliers.all()
    assert states == [7, 8, 9]


@pytest.mark.parametrize(("attempts", "found"), [(8, False), (9, True)])
def test_there_are_as_many_attempts_as_wanted(attempts: int, found: bool) -> None:
    failures = iter(range(8))

    def method(*given: object) -> object:
        if next(failures, None) is not None:
            raise cv2.error("!model.empty()")
        return cv2.findHomography(*given)  # type: ignore[call-overload]

    matrix, _ = usac_fit(
        method, BEFORE, BEFORE + SHIFT, 1.0, confidence=0.99, iterations=500, attempts=attempts
    )
    assert (matrix is not None) == found


@pytest.mark.parametrize("answer", [None, np.full((3, 3), np.nan), cv2.error("!model.empty()")])
def test_no_model_is_no_error(answer: object) -> None:
    def method(*_: object) -> tuple[object, object]:
        if isinstance(answer, Exception):
            raise answer
        return answer, np.ones((60, 1), np.uint8)

    matrix, inliers = usac_fit(method, BEFORE, BEFORE, 1.0, confidence=0.99, iterations=500)
    assert matrix is None
    assert not inliers.any()
