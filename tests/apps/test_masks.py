"""`--mask` and `--roi` through the whole command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.frame import masked_out
from realtime_kp.sources import DemoSpec
from tests.conftest import write_clip
from tests.sources.test_overlays import stamped

SCENE = "demo:?size=320x240&motion=fast"
WORDS = ["--model", "small", "--resize", "320", "--no-video", "-q", "--overwrite"]


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mask of half the size of the frames, whose middle is black."""
    monkeypatch.chdir(tmp_path)
    mask = np.full((120, 160), 200, np.uint8)
    cv2.circle(mask, (80, 60), 40, 0, -1)
    cv2.imwrite("mask.png", mask)
    return Path("mask.png")


def positions(table: str) -> np.ndarray:
    with open(table, newline="") as file:
        return np.array([(row["x"], row["y"]) for row in csv.DictReader(file)], np.float32).reshape(-1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hybrid", "flow", "descriptor"])
def test_no_row_of_the_table_lies_where_nothing_is_wanted(hidden: Path, kind: str) -> None:
    words = ["video", SCENE, "--max-frames", "40", "--tracker", kind, "--tracks", "t.csv", "--lost-tracks"]
    assert main([*words, *WORDS, "--mask", str(hidden), "--roi", "0,0,320,200", "--summary", "s.json"]) == 0
    wanted = cv2.resize(cv2.imread(str(hidden), 0), (320, 240), interpolation=cv2.INTER_NEAREST)
    wanted[200:] = 0
    found = positions("t.csv")
    assert len(found) > 1000
    inside = ((np.rint(found) >= 0) & (np.rint(found) < (320, 240))).all(axis=1)
    assert not masked_out(wanted, found[inside]).any()
    assert json.loads(Path("s.json").read_text())["keypoints_per_frame"] > 50


@pytest.mark.slow
def test_what_stands_on_the_screen_is_ignored_after_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scene = DemoSpec.parse("demo:?size=320x240&seed=2").scene()
    clip = write_clip(tmp_path / "a.mp4", [stamped(scene.render(i), i // 30) for i in range(180)], fps=30)
    on_stamps = {}
    for ignore in ("nothing", "overlays"):
        assert main(["video", str(clip), "--tracks", "t.csv", "--ignore", ignore, *WORDS]) == 0
        with open("t.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["frame"]) > 120]
        xy = np.array([(row["x"], row["y"]) for row in rows], np.float32)
        text = stamped(np.zeros((240, 320, 3), np.uint8), 4).max(axis=2) > 0
        on_stamps[ignore] = int(masked_out(~text, xy).sum())
    assert on_stamps["nothing"] > 300
    assert on_stamps["overlays"] == 0


def test_regions_may_be_named_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["video", SCENE, "--max-frames", "4", "--tracks", "t.csv", *WORDS]
    assert main([*words, "--roi", "0,0,100,240", "--tracker", "flow", "--input.roi=220,0,100,240"]) == 0
    x = np.rint(positions("t.csv")[:, 0])
    assert (x < 100).any()
    assert (x >= 220).any()
    assert ((x < 100) | (x >= 220)).all()
    assert main([*words, "--roi"]) == 2


@pytest.mark.slow
def test_a_mask_for_each_frame_is_found_by_its_number(hidden: Path) -> None:
    Path("masks").mkdir()
    for number in range(10):
        mask = np.zeros((240, 320), np.uint8)
        mask[:, :160] = 255 if number < 5 else 0
        mask[:, 160:] = 0 if number < 5 else 255
        cv2.imwrite(f"masks/{number:06d}.png", mask)
    words = ["video", "demo:?size=320x240", "--max-frames", "10", "--tracks", "t.csv", "--mask", "masks"]
    assert main([*words, *WORDS]) == 0
    with open("t.csv", newline="") as file:
        rows = [(int(row["frame"]), float(row["x"])) for row in csv.DictReader(file)]
    assert {frame for frame, _ in rows} >= {2, 3, 4, 7, 8, 9}
    assert all((round(x) < 160) == (frame < 5) for frame, x in rows)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--roi", "400,0,10,10"], 2, "no region lies within the picture of 320x240"),
        (["--roi", "1,2,3"], 2, "roi must be X,Y,W,H"),
        (["--mask", "nothere.png"], 3, "nothere.png"),
        (["--mask", "black.png"], 3, "leaves nothing to track"),
        (["--mask", "text.png"], 3, "text.png"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    hidden: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    cv2.imwrite("black.png", np.zeros((240, 320), np.uint8))
    Path("text.png").write_text("no picture")
    assert main(["video", SCENE, "--max-frames", "3", "--tracks", "t.csv", *WORDS, *words]) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert told in errors[0]
    assert not Path("t.csv").exists()
