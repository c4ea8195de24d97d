from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.evaluation.feature_extractors import open_extractor
from realtime_kp.evaluation.feature_set import Features
from realtime_kp.evaluation.room_scores import (
    SIZE_WH,
    evaluate_rooms,
    relit_room_pairs,
    score_room_pair,
    textures_of,
)
from realtime_kp.sources import procedural_picture
from realtime_kp.sources.room_pairs import RoomPair, room_pairs
from realtime_kp.tracking.matching import Pairs

COUNT = 200


@pytest.fixture(scope="module")
def pair() -> RoomPair:
    return next(relit_room_pairs([], 1, seed=0))


class KnowsTheWay:
    """Finds random places and where they went; hidden ones it matches with some other place."""

    def __init__(self, pair: RoomPair, off_px: float = 0.0, wrong: int = 0) -> None:
        height, width = pair.first.shape[:2]
        rng = np.random.default_rng(0)
        self._xy = rng.uniform((0, 0), (width - 1, height - 1), (COUNT, 2)).astype(np.float32)
        there, self.seen = pair.truth(self._xy)
        self._there = (there[self.seen] + (off_px, 0)).astype(np.float32)
        self._wrong = wrong
        self._first = True

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        xy = self._xy if self._first else self._there
        self._first = False
        return Features(xy, np.ones(len(xy), np.float32), np.zeros((len(xy), 1)))

    def match(self, first: Features, second: Features) -> Pairs:
        partner = np.zeros(COUNT, int)
        partner[self.seen] = np.arange(len(second.xy))
        wrong = np.flatnonzero(self.seen)[: self._wrong]
        partner[wrong] = np.roll(partner[wrong], 1)
        return Pairs(np.arange(COUNT), partner)


def test_matches_that_follow_the_room_are_right_and_hidden_points_have_none(pair: RoomPair) -> None:
    method = KnowsTheWay(pair)
    scores = score_room_pair(method, pair)
    share = method.seen.mean()
    assert 0.2 < share < 0.9
    assert scores.matches_1px == scores.matches_3px == pytest.approx(share)
    assert scores.right == method.seen.sum()
    assert scores.repeatability > 0.9
    assert scores.localisation_px < 0.05


def test_matches_that_are_off_or_wrong_count_less(pair: RoomPair) -> None:
    share = KnowsTheWay(pair).seen.mean()
    off = score_room_pair(KnowsTheWay(pair, off_px=2.0), pair)
    assert off.matches_1px == 0
    assert off.matches_3px == pytest.approx(share)
    # At a slant, 2 px in the second picture are more or less in the first.
    assert 1 < off.localisation_px < 2.5
    wrong = score_room_pair(KnowsTheWay(pair, wrong=20), pair)
    assert wrong.matches_3px == pytest.approx(share - 20 / COUNT, abs=0.01)


def test_the_mean_is_over_pairs_and_none_without_any(pair: RoomPair) -> None:
    assert evaluate_rooms(KnowsTheWay(pair), []) is None
    right, off = (score_room_pair(KnowsTheWay(pair, off_px=off_px), pair) for off_px in (0.0, 2.0))

    class InTurn:
        """The first pair is right, the second off."""

        def __init__(self) -> None:
            self._methods = [KnowsTheWay(pair), KnowsTheWay(pair, off_px=2.0)]
            self._calls = 0

        def features(self, image_bgr: NDArray[np.uint8]) -> Features:
            self._calls += 1
            return self._methods[(self._calls - 1) // 2].features(image_bgr)

        def match(self, first: Features, second: Features) -> Pairs:
            return self._methods[(self._calls - 1) // 2].match(first, second)

    mean = evaluate_rooms(InTurn(), [pair, pair])
    assert mean is not None
    assert mean.localisation_px == pytest.approx((right.localisation_px + off.localisation_px) / 2)
    assert mean.matches_1px == pytest.approx((right.matches_1px + off.matches_1px) / 2)


def test_the_second_picture_is_in_other_light(pair: RoomPair) -> None:
    unlit = next(room_pairs([], 1, SIZE_WH, seed=0))
    np.testing.assert_array_equal(unlit.first, pair.first)
    assert not np.array_equal(unlit.second, pair.second)
    again = next(relit_room_pairs([], 1, seed=0))
    np.testing.assert_array_equal(again.second, pair.second)


def test_textures_are_pictures_of_the_folder_and_not_large(tmp_path: Path) -> None:
    (tmp_path / "within").mkdir()
    cv2.imwrite(str(tmp_path / "within" / "large.png"), procedural_picture((1280, 320), 0))
    cv2.imwrite(str(tmp_path / "small.png"), procedural_picture((200, 160), 0))
    (tmp_path / "broken.jpg").write_bytes(b"none")
    (tmp_path / "empty.jpg").touch()
    cv2.imwrite(str(tmp_path / "line.png"), np.zeros((1, 2000, 3), np.uint8))
    assert sorted(picture.shape for picture in textures_of(tmp_path)) == [(160, 200, 3), (160, 640, 3)]


@pytest.mark.slow
def test_bundled_models_match_more_keypoints_than_classical_ones() -> None:
    pairs = list(relit_room_pairs([], 6, seed=0))
    found = {}
    for name in ("base", "small", "nano", "orb", "sift"):
        with open_extractor(name, 512, SuperPointConfig()) as method:
            found[name] = evaluate_rooms(method, pairs)
    for name in ("base", "small", "nano"):
        assert found[name].matches_3px > 0.45
        assert found[name].right > 1.25 * found["orb"].right
    for name in ("base", "small"):
        assert found[name].right > 1.05 * found["sift"].right
