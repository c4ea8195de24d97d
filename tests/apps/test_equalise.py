"""`--equalise` through the whole command."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.sources import Scene, procedural_picture
from tests.conftest import write_clip

SCENE = Scene(procedural_picture((460, 350), 3), (320, 240))
WORDS = ["--model", "small", "--resize", "320", "-q", "--overwrite", "--draw", "none"]


@pytest.mark.slow
def test_a_dark_clip_has_more_tracks_and_stays_dark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = [(SCENE.render(i) * 0.12).astype(np.uint8) for i in range(8)]
    write_clip(Path("dark.mp4"), images, options={"crf": "10"})
    tracks, means = {}, {}
    for kind in ("none", "clahe"):
        words = ["video", "dark.mp4", "-o", "o.mp4", "--tracks", "t.csv", "--equalise", kind, *WORDS]
        assert main(words) == 0
        with open("t.csv", newline="") as file:
            tracks[kind] = sum(int(row["frame"]) == 7 for row in csv.DictReader(file))
        capture = cv2.VideoCapture("o.mp4")
        try:
            means[kind] = capture.read()[1].mean()
        finally:
            capture.release()
    assert tracks["clahe"] > 1.5 * tracks["none"]
    assert abs(means["clahe"] - means["none"]) < 0.5


def test_another_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", "demo", "--equalise", "histogram", "--no-video"]) == 2
    assert "clahe" in capsys.readouterr().err
