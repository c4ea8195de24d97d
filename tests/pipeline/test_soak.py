"""Long runs through the real pipeline and sinks: nothing grows."""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from realtime_kp import Pipeline, SuperPoint, Tracker, track
from realtime_kp.config import InputConfig
from realtime_kp.features import Extractor
from realtime_kp.pipeline import RunMeter
from realtime_kp.render import render
from realtime_kp.sinks import FrameLog, TracksTableSink, VideoFileSink
from realtime_kp.sources import CameraSource, DemoSource, DemoSpec, FakeCamera, ReconnectingSource
from tests.conftest import StubExtractor, numbered_image, write_clip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read from /proc"),
]

QUEUE = 4
MAX_GROWTH_MB = 20


def memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def threads_and_descriptors() -> tuple[int, int]:
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def no_more_in_use(before: tuple[int, int]) -> bool:
    """Whether threads and descriptors are no more than before; fewer are well.

    The pool of OpenVINO ends and begins threads as it likes, up to one for each core, and other tests may
    have left some that end meanwhile.
    """
    threads, descriptors = threads_and_descriptors()
    return threads <= before[0] + min(4, os.cpu_count() or 1) and descriptors <= before[1]


def soak(folder: Path, extractor: Extractor, frames: int, size: str) -> None:
    """Run so many frames; at the end no more is in use than after a fifth of them."""
    # Everything changes all the time: cuts, boxes in the way, light.
    spec = DemoSpec.parse(f"demo:?size={size}&motion=fast&occluder=1&flicker=1")
    meter = RunMeter()
    tracker = Tracker(max_lost=200)
    pipeline = Pipeline(DemoSource(spec, frames), extractor, tracker, queue_size=QUEUE, keep_state_s=1.0)
    with pipeline, ExitStack() as stack:
        video = stack.enter_context(VideoFileSink(folder / "out.mp4"))
        table = stack.enter_context(TracksTableSink(folder / "t.csv"))
        log = stack.enter_context(FrameLog(folder / "l.jsonl"))
        used, growth_mb = (0, 0), 0.0
        for done, tracked in enumerate(pipeline, start=1):
            assert pipeline.queue_depth <= QUEUE
            assert len(tracked.tracks) <= tracker.config.max_tracks + tracker.config.max_lost
            image = render(tracked, frozenset({"keypoints", "tracks"}))
            video.write(image, tracked)
            table.write(image, tracked)
            log.write(tracked, meter.done(tracked, draw_ms=1.0, output_ms=1.0))
            if done == frames // 5:
                before_mb = memory_mb()
                used = threads_and_descriptors()
            elif done == frames - 20:  # while the threads are still at work
                growth_mb = memory_mb() - before_mb
                assert no_more_in_use(used)
    assert done == frames == pipeline.counts.processed
    assert pipeline.tracker.counts.started > 50
    assert growth_mb < MAX_GROWTH_MB, f"{growth_mb:.1f} MB more after {frames} frames"


# A limit at the function itself would go before that of a parameter.
SHORT, LONG = pytest.mark.timeout(600), [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("frames", [pytest.param(3_000, marks=SHORT), pytest.param(20_000, marks=LONG)])
def test_thousands_of_frames_with_a_stub_network(tmp_path: Path, frames: int) -> None:
    soak(tmp_path, StubExtractor(), frames, "160x120")


@pytest.mark.parametrize("frames", [pytest.param(300, marks=SHORT), pytest.param(2_000, marks=LONG)])
def test_frames_with_the_real_network(tmp_path: Path, frames: int) -> None:
    soak(tmp_path, SuperPoint(model="small", resize="320", latency=False), frames, "320x240")


@pytest.mark.parametrize("clips", [pytest.param(12, marks=SHORT), pytest.param(200, marks=LONG)])
def test_many_clips_through_one_process(tmp_path: Path, clips: int) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [numbered_image(i, (160, 120)) for i in range(12)])
    used, before_mb = (0, 0), 0.0
    for done in range(1, clips + 1):
        assert sum(1 for _ in track(clip, model="small", resize="160")) == 12
        if done == clips // 3:
            used, before_mb = threads_and_descriptors(), memory_mb()
    assert no_more_in_use(used)
    growth_mb = memory_mb() - before_mb
    assert growth_mb < 3 * MAX_GROWTH_MB, f"{growth_mb:.1f} MB more after {clips} clips"


@pytest.mark.parametrize("minutes", [pytest.param(0.2, marks=SHORT), pytest.param(20.0, marks=LONG)])
def test_live_on_a_camera_that_changes_and_goes_away_at_random(minutes: float) -> None:
    rng = random.Random(0)
    camera = FakeCamera((160, 120), fps=60.0)
    config = InputConfig(timeout_s=0.4)
    source = ReconnectingSource(lambda: CameraSource(0, config, camera.open), None)
    frames, sessions, used, before_mb = 0, set(), (0, 0), 0.0
    end_s = time.perf_counter() + 60 * minutes
    settled_s = time.perf_counter() + 20 * minutes
    with Pipeline(source, StubExtractor(), Tracker(), policy="drop_oldest") as pipeline:
        next_s = time.perf_counter() + 0.5
        while time.perf_counter() < end_s:
            tracked = pipeline.poll(0.05)
            if tracked is not None:
                frames += 1
                sessions.add(tracked.frame.session)
                assert len(tracked.tracks) <= 3000
            if time.perf_counter() >= next_s:
                next_s += rng.uniform(0.3, 1.5)
                if camera.in_use and rng.random() < 0.6:
                    camera.stall() if rng.random() < 0.3 else camera.unplug()
                else:
                    camera.stall(False)
                    camera.plug((rng.randrange(64, 400, 2), rng.randrange(48, 300, 2)))
            if not before_mb and time.perf_counter() >= settled_s:
                used, before_mb = threads_and_descriptors(), memory_mb()
        growth_mb = memory_mb() - before_mb
        assert all(now <= before + 1 for now, before in zip(threads_and_descriptors(), used, strict=True))
    assert frames > 20
    assert len(sessions) > 2
    assert growth_mb < 3 * MAX_GROWTH_MB, f"{growth_mb:.1f} MB more after {minutes} minutes"
