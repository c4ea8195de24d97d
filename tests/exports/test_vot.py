"""Sequences for the toolkit of the VOT challenges, read as that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime_kp.errors import SinkError
from realtime_kp.exports import TrackTable, check_export, export_tracks
from tests.conftest import numbered_image, write_clip

ROWS = [(7, frame, 20.0 + 3 * frame, 40.5) for frame in range(4)] + [(9, 1, 5.25, 6), (9, 3, 7, 8)]


def table(rows: list[tuple[int, int, float, float]] = ROWS) -> TrackTable:
    ids, frames, x, y = (np.array(column) for column in zip(*rows, strict=True))
    columns: dict[str, Any] = {"frame": frames, "track_id": ids, "x": x, "y": y}
    return TrackTable(columns, {"width": 64, "height": 48, "fps": 25, "source": "clips/a.mp4"})


def trajectory(path: Path) -> list[tuple[float, ...]]:
    """Points, or codes where there is none."""
    return [tuple(float(part) for part in line.split(",")) for line in path.read_text().splitlines()]


def properties(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_each_track_has_its_file(tmp_path: Path) -> None:
    assert export_tracks(table(), "vot", tmp_path / "seq") == 2
    names = sorted(path.name for path in (tmp_path / "seq").iterdir())
    assert names == ["color", "groundtruth_7.txt", "groundtruth_9.txt", "sequence"]
    assert trajectory(tmp_path / "seq/groundtruth_7.txt") == [(20 + 3 * i, 40.5) for i in range(4)]
    assert trajectory(tmp_path / "seq/groundtruth_9.txt") == [(0,), (5.25, 6), (0,), (7, 8)]
    told = properties(tmp_path / "seq/sequence")
    assert (told["name"], told["fps"], told["width"], told["height"], told["length"]) == (
        *("a", "25", "64"),
        *("48", "4"),
    )
    assert told["channels.color"] == "color/%08d.jpg"


def test_a_single_track(tmp_path: Path) -> None:
    export_tracks(table(ROWS[:4]), "vot", tmp_path / "seq")
    assert (tmp_path / "seq/groundtruth.txt").exists()


def test_the_frames_of_the_video(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", [numbered_image(3 * i) for i in range(4)])
    export_tracks(table(), "vot", tmp_path / "seq", video=str(tmp_path / "a.mp4"))
    levels = [cv2.imread(str(tmp_path / f"seq/color/{i:08d}.jpg")).mean() for i in range(1, 5)]
    assert levels == pytest.approx([numbered_image(3 * i).mean() for i in range(4)], abs=6)


def test_only_an_export_is_replaced(tmp_path: Path) -> None:
    export_tracks(table(), "vot", tmp_path / "seq")
    check_export("vot", tmp_path / "seq")
    (tmp_path / "seq/notes.txt").write_text("mine")
    with pytest.raises(SinkError, match=r"holds more than an export, such as notes\.txt"):
        check_export("vot", tmp_path / "seq")
