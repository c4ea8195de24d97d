from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp import Keypoints
from realtime_kp.cli import main
from realtime_kp.evaluation.known_motion import make_clips
from realtime_kp.evaluation.reference_trackers import KltTracker, NearestNeighbourTracker
from realtime_kp.evaluation.track_accuracy import TrackRecord
from realtime_kp.frame import Frame
from realtime_kp.sources import DemoSpec


def test_opencvs_tracker_follows_a_smooth_clip_to_a_tenth_of_a_pixel() -> None:
    scene = DemoSpec().scene()
    tracker, record = KltTracker(), TrackRecord(scene)
    for i in range(20):
        record.add(tracker.update(Frame(i, i / 30, 0.0, scene.render(i)), None))
    accuracy = record.accuracy()
    assert accuracy.within_1px > 0.98
    assert accuracy.median_px < 0.15
    assert accuracy.mean_length > 12


def test_nearest_neighbours_keep_ids_by_descriptor_alone() -> None:
    rng = np.random.default_rng(0)
    descriptors = rng.normal(size=(30, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    image = np.zeros((48, 64, 3), np.uint8)
    tracker = NearestNeighbourTracker()
    for i in range(3):
        order = rng.permutation(30)
        xy = rng.uniform(0, 40, (30, 2)).astype(np.float32)
        found = Keypoints(xy, np.ones(30, np.float32), descriptors[order])
        tracks = tracker.update(Frame(i, i / 30, 0.0, image), found)
    assert tracks.ids.tolist() == list(range(1, 31))
    assert (tracks.lengths == 3).all()


def test_clips_have_fixed_seeds_and_half_of_them_the_occluder() -> None:
    clips = make_clips([DemoSpec(seed=5)])
    assert [clip.seed for clip in clips] == [5, 6, 7, 8, 9, 10]
    assert [clip.occluder for clip in clips] == [False, True] * 3
    scenes = [DemoSpec(picture=Path(f"{i}.png"), motion="zoom") for i in range(8)]
    clips = make_clips(scenes)
    assert [clip.picture for clip in clips] == [scene.picture for scene in scenes]
    assert {clip.motion for clip in clips} == {"zoom"}


@pytest.mark.slow
def test_the_command_prints_a_column_a_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    cv2.imwrite("noise.png", cv2.resize(picture, (320, 240), interpolation=cv2.INTER_CUBIC))
    arguments = [
        "--known-motion",
        "demo:noise.png?size=160x120&frames=24",
        "--resize",
        "160",
        "--summary",
        "s.json",
        "--why",
    ]
    assert main(["bench", *arguments]) == 0
    rows = json.loads(Path("s.json").read_text())["rows"]
    assert {(row["tracker"], row["every"]) for row in rows} == {
        (tracker, every)
        for tracker in (
            *("hybrid", "flow", "descriptor", "nearest neighbours, no gate", "OpenCV KLT"),
            *("own points", "own points, OpenCV KLT"),
        )
        for every in (1, 6)
    }
    assert all(0 <= row["within_1px"] <= 1 for row in rows)
    assert all(row["losses"]["tracks"] > 0 for row in rows)
    printed = capsys.readouterr().out
    for figure in ("steps ≤ 1 px", "TAP-Vid", "Jaccard", "ended though", "from outside", "64 random points"):
        assert figure in printed


def test_why_needs_known_motion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--why"]) == 2
    assert "--known-motion" in capsys.readouterr().err


def test_bench_takes_one_source() -> None:
    assert main(["bench", "demo", "demo"]) == 2
