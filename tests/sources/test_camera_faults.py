"""Cameras that are absent, busy, unplugged, stalled: a fake one behind the real source and pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from realtime_kp import Pipeline, SourceError, Tracker
from realtime_kp.config import InputConfig
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sources import CameraSource, FakeCamera, ReconnectingSource, open_source
from tests.conftest import StubExtractor, within
from tests.sources.network_cameras import MjpegCamera

CONFIG = InputConfig(timeout_s=0.4)


def pipeline_of(camera: FakeCamera, config: InputConfig = CONFIG, attempts: int | None = None) -> Pipeline:
    source = ReconnectingSource(lambda: CameraSource(0, config, camera.open), attempts)
    return Pipeline(source, StubExtractor(), Tracker(kind="descriptor"), policy="auto")


def frames_of(pipeline: Pipeline, session: int, count: int = 5, within_s: float = 2.5) -> list[TrackedFrame]:
    """So many frames of a session; fewer if they do not come in time."""
    found: list[TrackedFrame] = []
    deadline_s = time.perf_counter() + within_s
    while len(found) < count and time.perf_counter() < deadline_s:
        tracked = pipeline.poll(0.05)
        if tracked is not None and tracked.frame.session >= session:
            found.append(tracked)
    return found


def lost(pipeline: Pipeline, within_s: float) -> bool:
    return within(within_s, lambda: pipeline.poll(0.01) is None and pipeline.source_lost_s is not None)


@pytest.mark.parametrize("absent", [True, False])
def test_absent_or_busy_at_the_start_is_told_at_once(absent: bool) -> None:
    camera = FakeCamera()
    camera.unplug() if absent else camera.occupy()
    started_s = time.perf_counter()
    with pytest.raises(SourceError, match="cannot open camera 0: is it plugged in, free"):  # noqa: SIM117
        with pipeline_of(camera) as pipeline:
            list(pipeline)
    assert time.perf_counter() - started_s < 1
    assert not camera.in_use


def test_unplugged_it_is_missed_at_once_and_back_within_two_seconds() -> None:
    camera = FakeCamera((64, 48))
    with pipeline_of(camera) as pipeline:
        before = frames_of(pipeline, 0)
        camera.unplug()
        assert lost(pipeline, 0.5)
        time.sleep(1)
        camera.plug((96, 64))
        after = frames_of(pipeline, 1)
    assert len(before) == len(after) == 5
    assert {frame.frame.size_wh for frame in after} == {(96, 64)}
    ids = [{i for t in frames for i in t.tracks.ids.tolist()} for frames in (before, after)]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]
    assert after[0].frame.time_s - before[-1].frame.time_s > 1
    assert not camera.in_use


def test_stalled_it_is_noticed_within_the_default_three_seconds() -> None:
    camera = FakeCamera((64, 48))
    with pipeline_of(camera, InputConfig()) as pipeline:
        assert len(frames_of(pipeline, 0)) == 5
        camera.stall()
        started_s = time.perf_counter()
        assert lost(pipeline, 5)
        assert time.perf_counter() - started_s < 3
        camera.stall(False)
        assert len(frames_of(pipeline, 1)) == 5


def test_what_another_program_took_is_had_again_when_it_is_free() -> None:
    camera = FakeCamera((64, 48))
    with pipeline_of(camera) as pipeline:
        assert len(frames_of(pipeline, 0)) == 5
        camera.unplug()
        camera.occupy()
        camera.plug()
        assert lost(pipeline, 0.5)
        assert frames_of(pipeline, 1, within_s=1) == []
        camera.occupy(False)
        assert len(frames_of(pipeline, 1)) == 5


def test_no_frame_is_invented() -> None:
    camera = FakeCamera((64, 48), fps=100)
    seen: list[int] = []
    with pipeline_of(camera) as pipeline:
        for cycle in range(3):
            seen += [int(t.frame.image_bgr[0, 0, 0]) for t in frames_of(pipeline, cycle)]
            camera.unplug()
            assert lost(pipeline, 0.5)
            camera.plug()
    assert len(seen) == 15
    assert seen == sorted(set(seen))  # each picture of the camera at most once, in order


def test_it_gives_up_after_so_many_attempts() -> None:
    camera = FakeCamera((64, 48))
    with pytest.raises(SourceError, match="did not come back in 2 attempts"):  # noqa: SIM117, PT012
        with pipeline_of(camera, attempts=2) as pipeline:
            frames_of(pipeline, 0)
            camera.unplug()
            list(pipeline)


def stalled_camera() -> Iterator[Pipeline]:
    """A pipeline whose capture thread waits in a read of a camera."""
    camera = FakeCamera((64, 48))
    with pipeline_of(camera) as pipeline:
        assert len(frames_of(pipeline, 0, 2)) == 2
        camera.stall()
        yield pipeline


def unplugged_camera() -> Iterator[Pipeline]:
    """A pipeline whose capture thread waits for a camera to come back."""
    camera = FakeCamera((64, 48))
    with pipeline_of(camera) as pipeline:
        assert len(frames_of(pipeline, 0, 2)) == 2
        camera.unplug()
        assert lost(pipeline, 0.5)
        yield pipeline


def stalled_stream() -> Iterator[Pipeline]:
    """A pipeline whose capture thread waits in FFmpeg."""
    camera = MjpegCamera()
    try:
        config = InputConfig(reconnect="forever", timeout_s=0.4)
        source = open_source(camera.address, config)
        with Pipeline(source, StubExtractor(), Tracker(kind="descriptor"), policy="auto") as pipeline:
            assert len(frames_of(pipeline, 0, 2)) == 2
            camera.stall(True)
            yield pipeline
    finally:
        camera.kill()


def full_queue() -> Iterator[Pipeline]:
    """A pipeline of which nobody takes the frames."""
    with Pipeline(
        CameraSource(0, CONFIG, FakeCamera((64, 48), fps=500).open),
        StubExtractor(),
        Tracker(kind="descriptor"),
        policy="block",
    ) as pipeline:
        assert within(2, lambda: pipeline.queue_depth > 0)
        yield pipeline


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("blocked", [stalled_camera, unplugged_camera, stalled_stream, full_queue])
def test_quitting_works_with_a_blocked_source(blocked: Callable[[], Iterator[Pipeline]], times: int) -> None:
    for number in range(times):
        running = blocked()
        pipeline = next(running)
        time.sleep(0.02 * (number % 5))
        started_s = time.perf_counter()
        assert next(running, None) is None
        assert time.perf_counter() - started_s < CONFIG.timeout_s + 0.5
        assert not [t.name for t in threading.enumerate() if t.name.startswith("realtime-kp")]
        assert pipeline.counts.read == pipeline.counts.processed + pipeline.counts.dropped
