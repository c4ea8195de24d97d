"""`--camera` and `--undistort` through the whole command."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

import realtime_kp as rk
from realtime_kp.cli import main
from realtime_kp.lens import Lens, StraightView, lens_text
from tests.apps.command import Command
from tests.conftest import write_clip

LENS = Lens((320, 240), (200.0, 200.0), (161.0, 118.0), (-0.3, 0.09, 0.001, -0.0005, -0.01))
FISHEYE = Lens((320, 240), (150.0, 150.0), (160.0, 120.0), (0.02, -0.01, 0.003, -0.001), "fisheye")
SCENE = "demo:room?size=320x240&lens=c.yaml"
WORDS = ["--model", "small", "--resize", "320", "-q", "--no-video"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(lens_text(LENS))
    return tmp_path


def rows_of(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def first_picture(path: str) -> np.ndarray:
    capture = cv2.VideoCapture(path)
    try:
        return np.asarray(capture.read()[1])
    finally:
        capture.release()


@pytest.mark.parametrize("lens", [LENS, FISHEYE], ids=["radial", "fisheye"])
def test_tables_tell_directions(lens: Lens) -> None:
    Path("c.yaml").write_text(lens_text(lens))
    words = ["video", "demo?size=320x240", "--max-frames", "4", "--tracks", "t.csv", *WORDS]
    assert main([*words, "--camera", "c.yaml"]) == 0
    rows = rows_of("t.csv")
    assert len(rows) > 200
    xy = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    found = np.array([[float(row["x_n"]), float(row["y_n"])] for row in rows])
    undistort = cv2.fisheye.undistortPoints if lens.model == "fisheye" else cv2.undistortPoints
    precise = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-13)
    expected = undistort(xy[:, None], lens.matrix, np.array(lens.distortion), criteria=precise)
    np.testing.assert_allclose(found, expected[:, 0], atol=1e-6)
    assert main([*words, "--overwrite"]) == 0
    assert "x_n" not in rows_of("t.csv")[0]


def test_the_lens_of_larger_pictures_is_scaled() -> None:
    larger = LENS.scaled((640, 480))
    Path("large.yaml").write_text(lens_text(larger))
    tables = {}
    for name in ("c.yaml", "large.yaml"):
        words = ["video", SCENE, "--max-frames", "4", "--tracks", "t.csv", "--overwrite", *WORDS]
        assert main([*words, "--camera", name]) == 0
        tables[name] = Path("t.csv").read_text()
    assert tables["c.yaml"] == tables["large.yaml"]


def test_the_python_interface_takes_a_lens() -> None:
    results = list(
        rk.track(SCENE, model="small", resize="320", max_frames=3, camera=Path("c.yaml"), policy="block")
    )
    assert {result.frame.lens for result in results} == {LENS}


def test_the_straightened_picture_is_written(folder: Path) -> None:
    # A grid of dots: tracked in the source, drawn on the straightened picture.
    image = np.full((240, 320, 3), 90, np.uint8)
    for x in range(20, 320, 40):
        for y in range(20, 240, 40):
            cv2.rectangle(image, (x - 6, y - 6), (x + 6, y + 6), (30, 30, 30), -1)
    write_clip(folder / "a.mp4", [image] * 6, options={"crf": "8"})
    words = ["video", "a.mp4", "--model", "small", "--resize", "320", "-q", "--camera", "c.yaml"]
    words += ["--draw", "none"]
    assert main([*words, "-o", "o.mp4", "--undistort", "--tracks", "t.csv"]) == 0
    assert main([*words, "-o", "p.mp4"]) == 0
    straight, plain = first_picture("o.mp4"), first_picture("p.mp4")
    expected = StraightView.of(LENS).image(plain)
    assert np.abs(straight.astype(int) - expected).mean() < 2
    assert np.abs(straight.astype(int) - plain).mean() > 8
    # The table keeps pixels of the source.
    xy = np.array([[float(row["x"]), float(row["y"])] for row in rows_of("t.csv")])
    corners = np.array(
        [
            [x + dx, y + dy]
            for x in range(20, 320, 40)
            for y in range(20, 240, 40)
            for dx in (-6, 6)
            for dy in (-6, 6)
        ]
    )
    gaps = np.linalg.norm(xy[:, None] - corners, axis=2).min(axis=1)
    assert np.median(gaps) < 1.5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--camera", "none.yaml"], "cannot read the lens none.yaml: No such file"),
        (["--camera", "wide.yaml"], "calibrated with pictures of 640x360 does not fit pictures of 320x240"),
        (["--camera", "text.yaml"], "no camera_matrix of OpenCV"),
        (["--undistort"], "name the lens with --camera"),
        (["--reference", "r.png", "--reference-size", "1x1"], "give --reference and --camera"),
        (["--reference-size", "A4"], "such as 0.42x0.297"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    Path("wide.yaml").write_text(lens_text(Lens((640, 360), (400.0, 400.0), (320.0, 180.0))))
    Path("text.yaml").write_text("camera: mine\n")
    cv2.imwrite("r.png", np.zeros((64, 64, 3), np.uint8))
    base = ["video", "demo?size=320x240", "--max-frames", "3", "--tracks", "t.csv", *WORDS]
    assert main([*base, *words]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert told in errors[0]
    assert not Path("t.csv").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_with_a_lens_is_gone_on_with_the_same_lens_only(folder: Path) -> None:
    scene = rk.open_source("demo:room?size=320x240&lens=c.yaml", demo_frames=70)
    with scene:
        write_clip(folder / "a.mp4", [frame.image_bgr for frame in scene], fps=30)
    words = ["video", "a.mp4", "--model", "small", "--resize", "320", "-q", "--no-video"]
    words += ["--tracks", "t.csv", "--camera", "c.yaml", "--video.keep-every-s", "0.05"]
    with Command(folder, *words, "--log", "l.jsonl") as command:
        command.wait_for(30)
        os.kill(command.pid, signal.SIGINT)
        command.ended(60)
    Path("d.yaml").write_text(lens_text(FISHEYE))
    other = [word if word != "c.yaml" else "d.yaml" for word in words]
    assert main([*other, "--log", "l.jsonl", "--resume"]) == 2
    assert main([*words, "--log", "l.jsonl", "--resume"]) == 0
    resumed = Path("t.csv").read_text()
    whole = [word if word != "t.csv" else "w.csv" for word in words]
    assert main(whole) == 0
    assert resumed == Path("w.csv").read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_live_with_a_lens_records_the_straightened_picture(folder: Path) -> None:
    words = ["live", SCENE, "--model", "small", "--resize", "320", "--no-window", "--duration", "3"]
    words += ["--camera", "c.yaml", "--undistort", "--record", "r.mp4", "--tracks", "t.csv"]
    with Command(folder, *words, "--summary", "s.json") as command:
        assert command.ended(90)[0] == 0
    assert json.loads(Path("s.json").read_text())["frames"]["written"] > 3
    assert {"x_n", "y_n"} <= set(rows_of("t.csv")[0])
