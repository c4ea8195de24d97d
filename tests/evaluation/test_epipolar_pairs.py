from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.cli import main
from realtime_kp.evaluation.epipolar_pairs import epipolar_px, score_video_pair, video_pairs
from realtime_kp.evaluation.feature_set import Features
from realtime_kp.sources import procedural_picture
from realtime_kp.tracking.matching import Pairs
from tests.conftest import DATA, write_clip

RATE = 10


def sideways(frame: int) -> NDArray[np.uint8]:
    """A camera that moves to the side: the lower, the nearer, and the faster."""
    strips = [procedural_picture((600, 60), seed) for seed in range(4)]
    return np.concatenate([strip[:, k * frame : k * frame + 320] for k, strip in enumerate(strips, 1)])


class Guesses:
    """Places that are what they are told to be, in the first picture and in the second."""

    def __init__(self, first: list[tuple[float, float]], second: list[tuple[float, float]]) -> None:
        self._told = [np.array(xy, np.float32) for xy in (first, second)]

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        xy = self._told.pop(0)
        return Features(xy, np.ones(len(xy), np.float32), np.zeros((len(xy), 1)))

    def match(self, first: Features, second: Features) -> Pairs:
        return Pairs(np.arange(len(first.xy)), np.arange(len(second.xy)))


def test_distance_to_the_epipolar_line_is_in_pixels() -> None:
    # A move to the side: lines are rows. Sampson shares 4 px between both pictures.
    rows = np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)
    first = np.array([[10, 20], [10, 20]], np.float32)
    second = np.array([[90, 20], [40, 24]], np.float32)
    assert epipolar_px(rows, first, second) == pytest.approx([0, 4 / np.sqrt(2)])


def test_pairs_are_half_a_second_and_a_second_apart(tmp_path: Path) -> None:
    frames = [sideways(i) for i in range(26)]
    clip = write_clip(tmp_path / "side.mp4", frames, fps=RATE)
    pairs = list(video_pairs(clip))
    # From 0 s to 0.5 and 1.0, from 1.0 to 1.5 and 2.0, from 2.0 to 2.5.
    firsts, seconds = (0, 0, 10, 10, 20), (5, 10, 15, 20, 25)
    assert len(pairs) == len(firsts)
    for pair, first, second in zip(pairs, firsts, seconds, strict=True):
        for shown, number in ((pair.first, first), (pair.second, second)):
            assert np.abs(shown.astype(float) - frames[number]).mean() < 6
        by = second - first
        moved = score_video_pair(
            Guesses([(150, 30), (150, 210), (60, 60)], [(150 - by, 30), (150 - 4 * by, 210), (60, 80)]), pair
        )
        assert (moved.right, moved.matches_1px) == (2, pytest.approx(2 / 3))
        assert moved.matches_3px == pytest.approx(2 / 3)


def test_pairs_across_a_cut_are_left_out(tmp_path: Path) -> None:
    # Upside down it has features in common with what it was.
    frames = [sideways(i) for i in range(8)] + [np.ascontiguousarray(sideways(3)[::-1])] * 8
    assert list(video_pairs(write_clip(tmp_path / "cut.mp4", frames[:13], fps=RATE)))
    only_across = list(video_pairs(write_clip(tmp_path / "late.mp4", frames[5:13], fps=RATE)))
    assert only_across == []


def test_large_video_is_made_smaller(tmp_path: Path) -> None:
    frames = [cv2.resize(sideways(i), (1280, 960), interpolation=cv2.INTER_NEAREST) for i in range(6)]
    pair = next(video_pairs(write_clip(tmp_path / "large.mp4", frames, fps=RATE)))
    assert pair.first.shape == pair.second.shape == (480, 640, 3)


@pytest.mark.slow
def test_the_command_judges_videos_of_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--data", str(DATA), "--model", "small", "--against", "orb"]
    assert main(["evaluate", *arguments, "--summary", "s.json", "-q"]) == 0
    methods = json.loads(Path("s.json").read_text())["methods"]
    small, orb = (methods[name]["box.mp4"] for name in ("small", "orb"))
    assert small["right"] > orb["right"] > 50
    assert "known_motion" in methods["small"]  # of the demo's picture: there is no other
    assert orb["matches_1px"] < orb["matches_3px"] < 1
