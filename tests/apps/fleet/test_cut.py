"""Long videos, whose keypoints several workers find: tables are those of one worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from realtime_kp.apps.fleet.ledger import VideoResult
from realtime_kp.apps.fleet.pieces import Found, Piece
from realtime_kp.apps.fleet.worker import VideoWorker
from realtime_kp.apps.jobs import Job, plan_jobs
from realtime_kp.config import (
    AppConfig,
    FleetConfig,
    InputConfig,
    OutputConfig,
    SuperPointConfig,
    VideoConfig,
)
from realtime_kp.features import ModelInfo
from realtime_kp.sources.demo import DemoSpec
from tests.apps.fleet.test_fleet import ended, plain_tables, ray_nodes, report_of, tables, video
from tests.conftest import within, write_clip

pytest.importorskip("ray", reason="needs pip install ray")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CUT = ("--no-video", "--tracks", "out/t.csv", "--chunk-minutes", "0.05")


def clip(folder: Path, frames: int) -> str:
    scene = DemoSpec.parse("demo?size=96x64&seed=3").scene()
    write_clip(folder / "long.mp4", [scene.render(index) for index in range(frames)])
    return "long.mp4"


def job_of(source: str, table: str, input_: InputConfig | None = None) -> Job:
    config = AppConfig(
        superpoint=SuperPointConfig(model="small", resize="64", max_keypoints=50),
        input=input_ or InputConfig(),
        output=OutputConfig(tracks=Path(table)),
        video=VideoConfig(annotate=False),
        fleet=FleetConfig(chunk_minutes=1 / 60),
    )
    return plan_jobs([source], config)[0]


def tracked_alone(job: Job, table: str) -> bytes:
    alone = replace(job.config, fleet=FleetConfig(), output=replace(job.config.output, tracks=Path(table)))
    result = VideoWorker(os.getcwd(), 0, 64).run(replace(job, config=alone), [job.source])
    assert (result.outcome, result.frames_by_helpers) == ("done", 0)
    return Path(table).read_bytes()


def helped(job: Job, change: Callable[[VideoWorker, VideoWorker, int], bool] | None = None) -> VideoResult:
    """The result of a job that one worker tracks and another helps with, in one process.

    Args:
        job: The job.
        change: Called with both and the number of batches so far before each is given away; whether it is.
    """
    tracking, helper = VideoWorker(os.getcwd(), 0, 64), VideoWorker(os.getcwd(), 0, 64)
    results: list[VideoResult] = []
    thread = threading.Thread(target=lambda: results.append(tracking.run(job, [job.source])))
    batches = 0

    def claim(info: ModelInfo) -> Piece | None:
        return tracking.claim(job.source, "helper", info)

    def offer(number: int, found: Sequence[Found] | None) -> bool:
        nonlocal batches
        batches += 1
        if change is not None and not change(tracking, helper, batches):
            return True
        if found is None:
            return tracking.offer(job.source, "helper", number, (0.0, 0.0), None)
        times_s = (found[0].time_s, found[-1].time_s)
        return tracking.offer(job.source, "helper", number, times_s, lambda: found)

    thread.start()
    try:
        while thread.is_alive():
            if not helper.help(job, claim, offer):
                thread.join(0.02)
    finally:
        tracking.stop()
        thread.join(60)
    return results[0]


@pytest.mark.parametrize("kind", ["video", "demo", "regions", "equalised"])
def test_a_cut_video_has_the_tracks_of_a_whole_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = "demo?size=96x64&frames=240" if kind == "demo" else clip(tmp_path, 240)
    input_ = {"regions": InputConfig(roi="10,10,60,40"), "equalised": InputConfig(equalise="clahe")}.get(kind)
    job = job_of(source, "cut.csv", input_)
    result = helped(job)
    assert (result.outcome, result.frames) == ("done", 240)
    assert result.frames_by_helpers >= 30
    assert Path("cut.csv").read_bytes() == tracked_alone(job, "alone.csv")


def test_what_a_helper_loses_on_the_way_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_of(clip(tmp_path, 240), "cut.csv")

    def loses(tracking: VideoWorker, helper: VideoWorker, batches: int) -> bool:
        if batches == 4:
            tracking.release("helper")
        return batches != 2

    result = helped(job, loses)
    assert (result.outcome, result.frames) == ("done", 240)
    assert Path("cut.csv").read_bytes() == tracked_alone(job, "alone.csv")


def test_helpers_with_another_network_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_of(clip(tmp_path, 150), "cut.csv")
    tracking = VideoWorker(os.getcwd(), 0, 64)
    thread = threading.Thread(target=lambda: tracking.run(job, [job.source]))
    thread.start()
    try:
        assert within(60, lambda: tracking.progress().pieces > 0)
        other = ModelInfo("base", None, "", "cpu", "torch", "fp32", 256)
        assert tracking.claim(job.source, "helper", other) is None
        assert tracking.claim("another.mp4", "helper", other) is None
        assert not tracking.offer("another.mp4", "helper", 1, (0.0, 0.0), None)
    finally:
        tracking.stop()
        thread.join(60)


def test_no_piece_is_given_away_behind_the_last_frame_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_of(clip(tmp_path, 240), "cut.csv")
    job = replace(job, config=replace(job.config, video=replace(job.config.video, max_frames=60)))
    tracking = VideoWorker(os.getcwd(), 0, 64)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: tracking.run(job, [job.source]))
    thread.start()
    try:
        while thread.is_alive():
            seen.append(tracking.progress().pieces)
            thread.join(0.01)
    finally:
        tracking.stop()
        thread.join(60)
    assert max(seen) == 2  # 60 frames at 25 a second reach into the third second; 240 have nine ahead


def test_workers_of_a_cluster_help(tmp_path: Path) -> None:
    name = clip(tmp_path, 1500)
    (tmp_path / "out").mkdir()
    expected = plain_tables(tmp_path, [name])
    with ray_nodes(2) as nodes:
        code, errors = ended(tmp_path, name, *CUT, "--ray", nodes.address)
    assert code == 0, errors
    (report,) = report_of(tmp_path / "out")["inputs"]
    assert (report["outcome"], report["frames"]) == ("done", 1500)
    assert report["frames_by_helpers"] > 100
    assert list(tables(tmp_path / "out").values()) == list(expected.values())


@pytest.mark.soak
def test_a_node_dies_while_a_video_is_cut(tmp_path: Path) -> None:
    name = clip(tmp_path, 1500)
    (tmp_path / "out").mkdir()
    expected = plain_tables(tmp_path, [name])
    with ray_nodes(2) as nodes, video(tmp_path, name, *CUT, "--ray", nodes.address) as command:
        assert within(120, lambda: any((tmp_path / "out").glob("*.partial*")))
        nodes.remove_node(nodes.workers[1], allow_graceful=False)
        code, errors = command.ended(500)
    assert code == 0, errors
    assert list(tables(tmp_path / "out").values()) == list(expected.values())
