from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.evaluation.real_motion import RealMotionRecord, inlier_share
from realtime_kp.keypoints import Tracks, TrackState
from tests.conftest import DATA

RNG = np.random.default_rng(0)


def tracks(ids: np.ndarray, xy: np.ndarray) -> Tracks:
    count = len(ids)
    return Tracks(
        ids.astype(np.int64),
        xy.astype(np.float32),
        np.ones(count, np.float32),
        np.ones(count, np.int32),
        np.full(count, TrackState.CONFIRMED, np.int8),
        np.ones(count, np.bool_),
        xy[:, None].astype(np.float32),
    )


def test_half_of_the_tracks_living_on_is_a_half() -> None:
    record = RealMotionRecord()
    xy = RNG.uniform(0, 400, (200, 2))
    for i in range(60):
        record.add(tracks(np.r_[np.arange(100), 1000 * (i + 1) + np.arange(100)], xy))
    found = record.scores()
    assert found.alive == 0.5
    assert found.pairs == 100
    assert found.tracks_per_frame == 200
    assert found.mean_length == 60


def test_jitter_is_that_of_what_stands_still() -> None:
    record = RealMotionRecord()
    xy = RNG.uniform(0, 400, (300, 2))
    for i in range(100):
        noise = RNG.normal(0, 0.2, xy.shape)
        noise[100:] += [0.5 * i, 0]
        record.add(tracks(np.arange(300), xy + noise))
    jitter_px = record.scores().jitter_px
    assert jitter_px is not None
    assert 0.2 < jitter_px < 0.25


def test_without_anything_still_there_is_no_jitter() -> None:
    record = RealMotionRecord()
    for i in range(40):
        record.add(tracks(np.arange(50), RNG.uniform(0, 400, (50, 2)) + i))
    assert record.scores().jitter_px is None


def test_inliers_of_a_plane_and_of_depth() -> None:
    before = RNG.uniform(0, 500, (200, 2)).astype(np.float32)
    moved = before * np.float32(1.02) + np.float32([5, -3])
    moved[:60] = RNG.uniform(0, 500, (60, 2))
    assert 0.65 < inlier_share(before, moved) < 0.8
    depth = RNG.uniform(1, 8, (200, 1)).astype(np.float32)
    sideways = before + np.float32([60, 0]) / depth
    assert inlier_share(before, sideways) > 0.9


@pytest.mark.slow
def test_the_command_tells_of_every_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--real-motion", str(DATA / "box.mp4"), "--frames", "45", "--resize", "320"]
    assert main(["bench", *arguments, "--summary", "s.json", "-q"]) == 0
    (rows,) = json.loads(Path("s.json").read_text())["videos"].values()
    assert set(rows) == {"hybrid", "flow", "descriptor", "nearest neighbours, no gate", "OpenCV KLT"}
    assert rows["hybrid"]["alive"] > rows["nearest neighbours, no gate"]["alive"]
    assert rows["hybrid"]["inliers"] > 0.7


def test_both_kinds_of_motion_at_once_are_refused() -> None:
    assert main(["bench", "--real-motion", "--known-motion"]) == 2
