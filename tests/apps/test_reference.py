"""`--reference` and `--poses` through the whole command."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.evaluation.reference_clips import ReferenceClip
from realtime_kp.sources import procedural_picture
from tests.apps.command import Command
from tests.conftest import write_clip

POSTER, BACKGROUND = procedural_picture((420, 300), 11), procedural_picture((640, 480), 12)
CLIP = ReferenceClip(POSTER, BACKGROUND, size_wh=(480, 360), seed=1)
FRAMES = 60
PLAIN = ["video", "a.mp4", "--model", "small", "--resize", "480", "-q"]
WORDS = [*PLAIN, "--reference", "poster.png"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "a.mp4", [CLIP.render(i) for i in range(FRAMES)], fps=30)
    cv2.imwrite("poster.png", POSTER)
    return tmp_path


def corners(table: str) -> np.ndarray:
    """`(F, 4, 2)`."""
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    assert {row["visible"] for row in rows} == {"true"}
    return np.array([[float(row[f"{a}{n}"]) for n in (1, 2, 3, 4) for a in "xy"] for row in rows]).reshape(
        -1, 4, 2
    )


def errors_px(table: str) -> np.ndarray:
    truth = np.stack([CLIP.corners_xy(i) for i in range(FRAMES)])
    return np.linalg.norm(corners(table) - truth, axis=2).max(axis=1)


@pytest.mark.slow
def test_the_table_tells_where_it_is_and_the_video_shows_it(folder: Path) -> None:
    assert main([*WORDS, "-o", "o.mp4", "--poses", "p.csv", "--draw", "tracks"]) == 0
    found = errors_px("p.csv")
    assert np.median(found) <= 0.5
    assert (found <= 2).mean() >= 0.98
    capture = cv2.VideoCapture("o.mp4")
    try:
        _, image = capture.read()
    finally:
        capture.release()
    x, y = np.rint((corners("p.csv")[0][0] + corners("p.csv")[0][1]) / 2).astype(int)
    around = image[y - 2 : y + 3, x - 2 : x + 3].astype(int)
    # The line is bright yellow on black.
    assert (around[..., 2] - around[..., 0]).max() > 80


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(folder: Path) -> None:
    words = [*WORDS, "-o", "o.mp4", "--poses", "p.csv", "--log", "l.jsonl", "--resume"]
    words += ["--video.keep-every-s", "0.1"]
    with Command(folder, *words) as command:
        command.wait_for(25)
        command.send(signal.SIGKILL)
        command.ended(5)
    assert main(words) == 0
    assert (errors_px("p.csv") <= 2).mean() >= 0.98


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["video", "a.mp4", "--poses", "p.csv"], 2, "--poses tells where a reference picture is: name one"),
        ([*WORDS, "--poses", "p.txt"], 2, "--poses takes a file ending in .csv, .jsonl, .parquet"),
        ([*PLAIN, "--reference", "none.png"], 3, "none.png"),
        ([*PLAIN, "--reference", "a.mp4"], 3, "a.mp4"),
        ([*PLAIN, "--reference", "wall.png"], 3, "the reference wall.png has 0 keypoints only: 20 at least"),
        ([*PLAIN, "--reference", "tiny.png"], 2, "the reference tiny.png of 40x20 is too small"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    cv2.imwrite("wall.png", np.full((200, 300, 3), 90, np.uint8))
    cv2.imwrite("tiny.png", POSTER[:20, :40])
    assert main([*words, "--no-video", "--tracks", "t.csv"]) == code
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not list(Path().glob("*p.csv"))
