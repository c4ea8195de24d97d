from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_kp.sources import procedural_picture
from realtime_kp.sources.room_pairs import RoomPair, room_pairs

SIZE_WH = (320, 240)


@pytest.fixture(scope="module")
def pairs() -> list[RoomPair]:
    pictures = [procedural_picture((240, 160), seed) for seed in range(4)]
    return list(room_pairs(pictures, 4, SIZE_WH, seed=0))


def pixels() -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE_WH[0]), np.arange(SIZE_WH[1]))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def test_what_is_seen_in_both_pictures_looks_alike_there(pairs: list[RoomPair]) -> None:
    for pair in pairs:
        there, seen = pair.truth(pixels())
        map_x, map_y = there.astype(np.float32).reshape(*SIZE_WH[::-1], 2).transpose(2, 0, 1)
        warped = cv2.remap(pair.second, map_x.copy(), map_y.copy(), cv2.INTER_LINEAR)
        off = np.abs(warped.astype(float) - pair.first).mean(axis=2)
        shuffled = np.abs(np.roll(warped, 40, axis=1).astype(float) - pair.first).mean(axis=2)
        both = seen.reshape(SIZE_WH[::-1])
        assert np.median(off[both]) < 0.3 * np.median(shuffled[both])


def test_pictures_have_a_part_in_common_and_a_part_that_only_one_shows(pairs: list[RoomPair]) -> None:
    for pair in pairs:
        for seen in (pair.truth(pixels())[1], pair.truth_back(pixels())[1]):
            assert 0.2 < seen.mean() < 0.98


def test_the_way_back_leads_to_where_it_began(pairs: list[RoomPair]) -> None:
    for pair in pairs:
        there, seen = pair.truth(pixels())
        back, seen_back = pair.truth_back(there[seen].astype(np.float32))
        # At the rim of an occlusion, rounding may decide either way.
        assert seen_back.mean() > 0.99
        gaps = np.linalg.norm(back - pixels()[seen], axis=1)[seen_back]
        assert np.quantile(gaps, 0.99) < 0.05


def test_equal_seeds_give_equal_pairs_and_others_differ() -> None:
    first, again, other = (next(room_pairs([], 1, SIZE_WH, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.second, again.second)
    np.testing.assert_array_equal(first.planes, again.planes)
    assert not np.array_equal(first.first, other.first)


def test_no_positions_are_no_positions(pairs: list[RoomPair]) -> None:
    there, seen = pairs[0].truth(np.zeros((0, 2), np.float32))
    assert there.shape == (0, 2)
    assert seen.shape == (0,)
