from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.tracking.matching import (
    Pairs,
    distance_to_similarity,
    mutual_best,
    mutual_nearest_neighbours,
    near_pairs,
    runner_up,
)

RNG = np.random.default_rng(0)


def unit(rows: int, dim: int = 16) -> np.ndarray:
    values = RNG.normal(size=(rows, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.mark.parametrize("radius", [0.5, 3.0, 40.0, 5000.0])
def test_near_pairs_are_exactly_those_within_the_radius(radius: float) -> None:
    a = RNG.uniform(-200, 900, (150, 2)).astype(np.float32)
    b = RNG.uniform(0, 640, (200, 2)).astype(np.float32)
    found = near_pairs(a, b, radius)
    expected = np.linalg.norm(a[:, None] - b[None], axis=2) <= radius
    got = np.zeros_like(expected)
    got[found.a, found.b] = True
    assert len(found) == expected.sum()
    assert (got == expected).all()


def test_near_pairs_of_nothing() -> None:
    nothing, one = np.zeros((0, 2), np.float32), np.zeros((1, 2), np.float32)
    assert len(near_pairs(nothing, one, 5)) == len(near_pairs(one, nothing, 5)) == 0


def test_near_pairs_survive_places_far_outside() -> None:
    far = np.array([[1e7, -1e7], [-1e7, 3.0], [10.0, 10.0]], np.float32)
    assert near_pairs(far, np.array([[11.0, 10.0]], np.float32), 4).a.tolist() == [2]


def test_mutual_best_takes_the_best_of_both_sides() -> None:
    pairs = Pairs(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert mutual_best(pairs, np.array([0.9, 0.8, 0.95, 0.1], np.float32)).tolist() == [
        False,
        False,
        True,
        False,
    ]


def test_mutual_best_uses_no_row_twice_even_with_equal_scores() -> None:
    pairs = Pairs(np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4))
    chosen = pairs.where(mutual_best(pairs, np.ones(16, np.float32)))
    assert len(chosen) >= 1
    assert len(set(chosen.a.tolist())) == len(set(chosen.b.tolist())) == len(chosen)


def test_runner_up_is_the_best_of_the_others() -> None:
    rows = np.array([3, 1, 3, 3, 2])
    scores = np.array([0.5, 0.4, 0.9, 0.7, 0.1], np.float32)
    np.testing.assert_allclose(runner_up(rows, scores), [0.9, -np.inf, 0.7, 0.9, -np.inf])


def test_mutual_nearest_neighbours_find_a_permutation() -> None:
    a = unit(60)
    order = RNG.permutation(60)
    found = mutual_nearest_neighbours(a, a[order], 0.99)
    assert len(found) == 60
    assert (order[found.b] == found.a).all()


def test_mutual_nearest_neighbours_respect_the_threshold() -> None:
    assert len(mutual_nearest_neighbours(unit(20), unit(20), 0.9999)) == 0


def test_distance_and_similarity_of_unit_vectors_belong_together() -> None:
    a, b = unit(1)[0], unit(1)[0]
    assert distance_to_similarity(float(np.linalg.norm(a - b))) == pytest.approx(float(a @ b), abs=1e-5)
