"""Long runs through the real pipeline and sinks: nothing grows."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from realtime_kp import Pipeline, SuperPoint, Tracker
from realtime_kp.features import Extractor
from realtime_kp.pipeline import RunMeter
from realtime_kp.render import render
from realtime_kp.sinks import FrameLog, TracksTableSink, VideoFileSink
from realtime_kp.sources import DemoSource, DemoSpec
from tests.conftest import StubExtractor

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
                # Fewer are well: threads that other tests have left may end meanwhile.
                assert all(now <= before for now, before in zip(threads_and_descriptors(), used, strict=True))
    assert done == frames == pipeline.counts.processed
    assert pipeline.tracker.counts.started > 50
    assert growth_mb < MAX_GROWTH_MB, f"{growth_mb:.1f} MB more after {frames} frames"


LONG = [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("frames", [3_000, pytest.param(20_000, marks=LONG)])
def test_thousands_of_frames_with_a_stub_network(tmp_path: Path, frames: int) -> None:
    soak(tmp_path, StubExtractor(), frames, "160x120")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("frames", [300, pytest.param(2_000, marks=LONG)])
def test_frames_with_the_real_network(tmp_path: Path, frames: int) -> None:
    soak(tmp_path, SuperPoint(model="small", resize="320", latency=False), frames, "320x240")
