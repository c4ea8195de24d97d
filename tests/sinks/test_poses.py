from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime_kp.errors import ConfigError
from realtime_kp.keypoints import ReferencePose, TrackedFrame, Tracks
from realtime_kp.sinks import PosesSink
from tests.conftest import make_frame

MATRIX = np.array([[2, 0.25, 40], [0, 4, 8], [1e-7, 0, 2]])
CORNERS = np.arange(8, dtype=np.float32).reshape(4, 2) / 4
FRAMES = [
    TrackedFrame(make_frame(0), None, Tracks.empty(), reference=ReferencePose(True, 57, MATRIX, CORNERS)),
    TrackedFrame(make_frame(1), None, Tracks.empty(), reference=ReferencePose(False, 0)),
    TrackedFrame(make_frame(2), None, Tracks.empty()),
]
NUMBERS = [*(MATRIX / 2).ravel().tolist(), *CORNERS.ravel().tolist()]


def read(path: Path) -> list[list[Any]]:
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return [list(row) for row in csv.reader(file)]
    if path.suffix == ".jsonl":
        return [list(json.loads(line).values()) for line in path.read_text().splitlines()]
    import pyarrow.parquet as pq

    return [list(row.values()) for row in pq.read_table(path).to_pylist()]


def write(path: Path) -> Path:
    with PosesSink(path) as sink:
        for frame in FRAMES:
            sink.write(None, frame)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_row_for_each_frame(tmp_path: Path, suffix: str) -> None:
    first, *others = read(write(tmp_path / f"p{suffix}"))
    assert first == [0, 0.0, True, 57, *NUMBERS, 0]
    nothing = [False, 0, *17 * [None]]
    assert others == [[1, 0.033333333, *nothing, 33333333], [2, 0.066666667, *nothing, 66666667]]


def test_csv(tmp_path: Path) -> None:
    head, first, second, _ = read(write(tmp_path / "p.csv"))
    assert ",".join(head) == (
        "frame,time_s,visible,inliers,h11,h12,h13,h21,h22,h23,h31,h32,h33,x1,y1,x2,y2,x3,y3,x4,y4,time_ns"
    )
    assert first[:4] == ["0", "0.000000000", "true", "57"]
    np.testing.assert_allclose([float(number) for number in first[4:]], [*NUMBERS, 0])
    assert second == ["1", "0.033333333", "false", "0", *17 * [""], "33333333"]


def test_other_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--poses takes a file ending in"):
        PosesSink(tmp_path / "p.txt")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_poses_in_metres(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    known = replace(
        FRAMES[0].reference, rotation=np.array([0.1, -0.2, 3.0]), translation_m=np.array([0.5, 0.25, 1.5])
    )
    with PosesSink(path, metric=True) as sink:
        sink.write(None, replace(FRAMES[0], reference=known))
        sink.write(None, FRAMES[1])
    first, second = read(path)[-2:]
    assert [float(value) for value in first[-6:]] == [0.1, -0.2, 3.0, 0.5, 0.25, 1.5]
    assert set(second[-6:]) <= {None, ""}
    if suffix == ".csv":
        assert read(path)[0][-6:] == ["rx", "ry", "rz", "tx_m", "ty_m", "tz_m"]
