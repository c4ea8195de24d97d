"""`--points` through the whole command."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.evaluation.own_points import textured_points
from realtime_kp.sources import DemoSpec
from tests.apps.command import Command

SCENE = "demo:?size=320x240&seed=3"
WORDS = ["--model", "small", "--resize", "320", "-q", "--overwrite"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(table: str) -> list[dict[str, str]]:
    with open(table, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def own(table: str, name: str) -> dict[int, np.ndarray]:
    """Positions of a point by frame."""
    return {
        int(row["frame"]): np.array([row["x"], row["y"]], np.float32)
        for row in rows(table)
        if row["label"] == name
    }


def chosen() -> list[np.ndarray]:
    """Two places with texture in frame 0 of the scene."""
    return list(textured_points(DemoSpec.parse(SCENE).scene().render(0), 2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hybrid", "flow"])
def test_points_of_a_file_are_followed_and_named(kind: str) -> None:
    scene, (first, second) = DemoSpec.parse(SCENE).scene(), chosen()
    lines = [f"0,{first[0]},{first[1]},nose", f"0,{second[0]},{second[1]},", "0,9999,3,far away"]
    Path("p.csv").write_text("\n".join(["frame,x,y,name", *lines]))
    words = ["video", SCENE, "--max-frames", "30", "--points", "p.csv", "--tracks", "t.csv", "--no-video"]
    assert main([*words, *WORDS, "--tracker", kind]) == 0
    for name, start in (("nose", first), ("p2", second)):
        found = own("t.csv", name)
        assert set(found) == set(range(30))
        for frame, xy in found.items():
            assert np.linalg.norm(xy - scene.truth(0, frame, start[None])[0][0]) < 1
    assert len({row["track_id"] for row in rows("t.csv")}) > 50
    assert main([*words, *WORDS, "--tracker", kind, "--only-points"]) == 0
    assert {row["label"] for row in rows("t.csv")} == {"nose", "p2"}


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_its_points(folder: Path) -> None:
    first, second = chosen()
    Path("p.csv").write_text(f"time_s,x,y,name\n0,{first[0]},{first[1]},a\n3,{second[0]},{second[1]},b\n")
    words = ["video", f"{SCENE}&frames=120", "--points", "p.csv", "--model", "small", "--resize", "320", "-q"]
    assert main([*words, "-o", "whole.mp4", "--tracks", "whole.csv"]) == 0
    assert (min(own("whole.csv", "a")), min(own("whole.csv", "b"))) == (0, 90)
    words += [
        "-o",
        "o.mp4",
        "--tracks",
        "t.csv",
        "--log",
        "l.jsonl",
        "--resume",
        "--video.keep-every-s",
        "0.1",
    ]
    with Command(folder, *words) as command:
        command.wait_for(40)
        command.send(signal.SIGKILL)
        command.ended(5)
    assert main(words) == 0
    assert Path("t.csv").read_bytes() == Path("whole.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("frame,x,y\n", [], "p.csv holds no points"),
        ("frame,x,y,colour\n0,1,2,red\n", [], "p.csv: unknown column 'colour'"),
        ("frame,x,y\n0,10,10\n", ["--tracker", "descriptor"], "--points needs --tracker hybrid or flow"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], text: str, flags: list[str], message: str
) -> None:
    Path("p.csv").write_text(text)
    words = ["video", SCENE, "--points", "p.csv", "--no-video", "--tracks", "t.csv"]
    assert main([*words, *WORDS, *flags]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not Path("t.csv").exists()


def test_a_point_whose_frame_never_comes_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.csv").write_text("frame,x,y,name\n500,160,120,late\n")
    words = ["video", SCENE, "--max-frames", "3", "--points", "p.csv", "--no-video", "--tracks", "t.csv"]
    assert main([*words, *[word for word in WORDS if word != "-q"]]) == 0
    told = "point late at (160, 120) was never followed: its frame has not come"
    assert told in " ".join(capsys.readouterr().err.split())


def test_only_points_without_any_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", SCENE, "--only-points", "--no-video", "--tracks", "t.csv", *WORDS]) == 2
    assert "--only-points shows points of your own only: name them with --points" in capsys.readouterr().err
