"""`draw` through the whole command."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from realtime_kp.cli import main
from realtime_kp.sources import Scene, procedural_picture
from tests.conftest import write_clip

SCENE = Scene(procedural_picture((460, 350), 3), (320, 240))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clip, its table, and what `video` draws of it."""
    monkeypatch.chdir(tmp_path)
    write_clip(Path("a.mp4"), [SCENE.render(i) for i in range(10)], fps=25, options={"crf": "10"})
    words = ["video", "a.mp4", "--model", "small", "--resize", "320", "-q", "--draw", "tracks"]
    assert main([*words, "--tracks", "t.csv", "-o", "v.mp4"]) == 0
    return tmp_path


def pictures(path: str) -> list[np.ndarray]:
    capture = cv2.VideoCapture(path)
    found = []
    try:
        while True:
            read, image = capture.read()
            if not read:
                return found
            found.append(image)
    finally:
        capture.release()


@pytest.mark.parametrize("length", [1, 8])
def test_it_looks_like_the_first_time(length: int) -> None:
    words = ["video", "a.mp4", "--model", "small", "--resize", "320", "-q", "--draw", "tracks", "--overwrite"]
    # Without losses, which add up differently from frame to frame.
    words += ["--output.crf", "0"]
    # One run for both: the settings for this CPU are selected by measurement, and may differ between runs.
    assert main([*words, "-o", "v.mp4", "--tracks", "t.csv", "--trail-length", str(length)]) == 0
    words = ["draw", "a.mp4", "--tracks", "t.csv", "-o", "d.mp4", "-q", "--crf", "0"]
    assert main([*words, "--trail-length", str(length)]) == 0
    first, again, plain = pictures("v.mp4"), pictures("d.mp4"), pictures("a.mp4")
    assert len(first) == len(again) == 10
    drawn = np.abs(again[9].astype(int) - plain[9]).mean()
    gap = np.abs(first[9].astype(int) - again[9]).mean()
    # Tables have no row of the frame before a track was confirmed, with which its trail begins.
    assert gap < (0.15 if length == 1 else 0.6) * drawn


def test_looks(folder: Path) -> None:
    words = ["draw", "a.mp4", "--tracks", "t.csv", "-q", "--overwrite", "-o", "d.mp4"]
    assert main([*words, "--background", "black"]) == 0
    black = pictures("d.mp4")
    assert (black[5].max(axis=2) < 30).mean() > 0.5
    assert main([*words, "--background", "black", "--min-length", "9"]) == 0
    assert (pictures("d.mp4")[5] > 60).sum() < (black[5] > 60).sum()
    assert main([*words, "--speed", "0.5"]) == 0
    capture = cv2.VideoCapture("d.mp4")
    try:
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5, rel=0.05)
    finally:
        capture.release()


@pytest.mark.parametrize(
    "words",
    [
        ["--colour", "speed"],
        ["--trails", "none"],
        ["--crowded", "all"],
        ["--heat"],
        ["--colour", "confidence"],
    ],
)
def test_styles_differ(words: list[str]) -> None:
    plain = ["draw", "a.mp4", "--tracks", "t.csv", "-q", "--overwrite", "--crf", "5", "-o"]
    assert main([*plain, "d.mp4"]) == 0
    assert main([*plain, "e.mp4", *words]) == 0
    first, other = pictures("d.mp4")[9].astype(int), pictures("e.mp4")[9].astype(int)
    assert (np.abs(first - other).max(axis=2) > 30).mean() > 0.001


def test_a_table_that_begins_later_is_laid_on_its_own_frames() -> None:
    images = [SCENE.render(3 * i) for i in range(30)]
    write_clip(Path("late.mp4"), images, fps=25, options={"crf": "10"})
    words = ["video", "late.mp4", "--start", "0.8", "--model", "small", "--resize", "320", "-q"]
    words += ["--output.crf", "0", "--draw", "tracks", "--trail-length", "1"]
    assert main([*words, "--tracks", "l.csv", "-o", "l.mp4"]) == 0
    words = ["draw", "late.mp4", "--tracks", "l.csv", "-o", "k.mp4", "-q", "--crf", "0"]
    assert main([*words, "--trail-length", "1"]) == 0
    assert main(["export", "l.csv", "--to", "vot", "--video", "late.mp4", "-o", "seq", "-q"]) == 0
    first, again = pictures("l.mp4"), pictures("k.mp4")
    assert len(first) == len(again) == 10
    assert np.abs(first[5].astype(int) - again[5]).mean() < 0.5
    shown = cv2.imread("seq/color/00000006.jpg").astype(int)
    gaps = [np.abs(shown - image).mean() for image in images]
    assert int(np.argmin(gaps)) == 25


def test_pictures_that_are_missing_leave_their_numbers_free() -> None:
    folder = Path("set")
    folder.mkdir()
    for i in range(8):
        cv2.imwrite(str(folder / f"{i}.png"), SCENE.render(i))
    (folder / "timestamps.txt").write_text("".join(f"{i * 0.1:.1f} {i}.png\n" for i in range(8)))
    (folder / "4.png").unlink()
    words = ["video", "set", "--model", "small", "--resize", "320", "-q", "--tracks", "s.csv", "-o", "s.mp4"]
    assert main(words) == 6
    assert main(["draw", "set", "--tracks", "s.csv", "-o", "again", "-q"]) == 6
    names = sorted(path.name for path in Path("again").iterdir())
    assert names == [f"{i}_tracks.png" for i in range(8) if i != 4]
    assert main(["export", "s.csv", "--to", "vot", "--video", "set", "-o", "seq", "-q"]) == 0
    assert sorted(path.name for path in Path("seq/color").iterdir()) == [
        f"{i + 1:08d}.jpg" for i in range(8) if i != 4
    ]


def test_two_tables_side_by_side() -> None:
    words = ["draw", "a.mp4", "--tracks", "t.csv", "--beside", "t.csv", "-q", "--crf", "5", "-o", "d.mp4"]
    assert main(words) == 0
    both = pictures("d.mp4")
    assert len(both) == 10
    assert both[9].shape == (240, 640, 3)
    assert np.abs(both[9][:, :320].astype(int) - both[9][:, 320:]).mean() < 2


def test_animations_and_pictures() -> None:
    words = ["draw", "a.mp4", "--tracks", "t.csv", "-q", "-o"]
    assert main([*words, "d.gif"]) == 0
    with Image.open("d.gif") as animation:
        assert animation.n_frames == 10
        assert animation.info["duration"] == 40
        assert animation.size == (320, 240)
    assert main([*words, "shots"]) == 0
    names = sorted(path.name for path in Path("shots").iterdir())
    assert names == [f"frame_{i:06d}_tracks.png" for i in range(10)]
    assert main([*words, "shots"]) == 5


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["a.mp4", "--tracks", "t.csv", "-o", "d.avi"], 2, "written as .mp4"),
        (["a.mp4", "--tracks", "none.csv", "-o", "d.mp4"], 3, "No such file"),
        (["none.mp4", "--tracks", "t.csv", "-o", "d.mp4"], 3, "none.mp4"),
        (["short.mp4", "--tracks", "t.csv", "-o", "d.mp4"], 3, "cut short: the table goes on to frame 9"),
        (
            ["small.mp4", "--tracks", "t.csv", "-o", "d.mp4"],
            3,
            "frames are of 320x240, those of the video",
        ),
        (["a.mp4", "--tracks", "t.csv", "-o", "v.mp4"], 5, "--overwrite"),
        (["a.mp4", "--tracks", "t.csv", "-o", "a.mp4", "--overwrite"], 5, "input itself"),
        (["a.mp4", "--tracks", "t.csv", "-o", "d.mp4", "--min-length", "99"], 3, "no track of 99 frames"),
        (["a.mp4", "--tracks", "t.csv", "-o", "d.mp4", "--speed", "0"], 2, "speed must be"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    write_clip(Path("short.mp4"), [SCENE.render(i) for i in range(4)], fps=25)
    write_clip(Path("small.mp4"), [SCENE.render(i)[:128, :160] for i in range(10)], fps=25)
    assert main(["draw", *words, "-q"]) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert told in errors[-1]
    assert not Path("d.mp4").exists()
