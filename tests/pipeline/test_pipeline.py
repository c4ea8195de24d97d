from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import cv2
import numpy as np
import pytest

from realtime_kp import Frame, Pipeline, SourceError, Tracker
from realtime_kp.features import Extraction
from realtime_kp.keypoints import Keypoints, TrackedFrame, Tracks
from realtime_kp.pipeline import Controls, Pacer
from realtime_kp.pipeline.channel import Policy
from realtime_kp.sources import SourceInfo, open_source
from tests.conftest import StubExtractor, make_frame, within


class ListSource:
    """Frames made on the spot; may be live, endless, slow, broken."""

    damage: str | None = None

    def __init__(
        self,
        count: int | None = 10,
        *,
        live: bool = False,
        fail_at: int | None = None,
        fail_to_open: bool = False,
        interval_s: float = 0.0,
    ) -> None:
        self.count = count
        self.live = live
        self.fail_at = fail_at
        self.fail_to_open = fail_to_open
        self.interval_s = interval_s
        self.opened_in: str | None = None
        self.closed_in: str | None = None

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("list", (64, 48), 30.0, self.count, self.live)

    def __enter__(self) -> Self:
        if self.fail_to_open:
            raise SourceError("the list cannot be opened")
        self.opened_in = threading.current_thread().name
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed_in = threading.current_thread().name

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self.count is None or index < self.count:
            if index == self.fail_at:
                raise SourceError("the list is torn")
            time.sleep(self.interval_s)
            yield make_frame(index)
            index += 1


class FailingTracker(Tracker):
    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        if frame.index == 3:
            raise RuntimeError("the tracker fails as ordered")
        return super().update(frame, keypoints)


def make(
    source: ListSource,
    extractor: StubExtractor | None = None,
    kind: Literal["hybrid", "flow", "descriptor"] = "descriptor",
    **options: object,
) -> Pipeline:
    # The frames are blank: only descriptors can tie their keypoints together.
    tracker = Tracker(kind=kind)
    return Pipeline(source, extractor or StubExtractor(), tracker, **options)  # type: ignore[arg-type]


def test_block_gives_every_frame_in_order_with_its_tracks() -> None:
    with make(ListSource(20)) as pipeline:
        frames = list(pipeline)
    assert [f.frame.index for f in frames] == list(range(20))
    assert all(f.detected for f in frames)
    assert len(frames[-1].tracks.confirmed) == len(frames[-1].keypoints or ())
    counts = pipeline.counts
    assert (counts.read, counts.processed, counts.dropped, counts.detected) == (20, 20, 0, 20)


@pytest.mark.parametrize(("batch", "depth"), [(1, 3), (4, 1), (5, 3), (100, 2)])
def test_several_frames_on_their_way_come_out_in_order(batch: int, depth: int) -> None:
    extractor = StubExtractor(depth=depth)
    with make(ListSource(22), extractor, batch=batch) as pipeline:
        frames = list(pipeline)
    assert [f.frame.index for f in frames] == list(range(22))
    assert [f.keypoints.frame_index for f in frames if f.keypoints is not None] == list(range(22))
    full, rest = divmod(22, batch)
    assert extractor.batches == [batch] * full + [rest] * (rest > 0)


def test_a_batch_holds_one_size_and_which_frames_the_network_processes() -> None:
    class Growing(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            for index in range(10):
                yield make_frame(index, (64, 48) if index < 5 else (96, 48))

    extractor = StubExtractor()
    with make(Growing(10), extractor, batch=4, detect_every=2) as pipeline:
        frames = list(pipeline)
    assert [f.frame.index for f in frames] == list(range(10))
    assert [f.frame.index for f in frames if f.detected] == [0, 2, 4, 6, 8]
    assert extractor.batches == [2, 1, 2]


def test_where_frames_may_be_dropped_the_network_takes_them_one_by_one() -> None:
    extractor = StubExtractor()
    with make(ListSource(10), extractor, batch=4, policy="drop_oldest") as pipeline:
        list(pipeline)
    assert set(extractor.batches) == {1}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there threads have priorities")
@pytest.mark.parametrize(
    ("kind", "policy", "depth", "yields"),
    [
        ("hybrid", "drop_oldest", 1, True),
        ("descriptor", "drop_oldest", 1, False),
        ("hybrid", "block", 1, False),
        ("hybrid", "block", 3, True),
    ],
)
def test_where_nobody_waits_for_the_network_it_yields(
    kind: Literal["hybrid", "descriptor"], policy: Policy, depth: int, yields: bool
) -> None:
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    extractor = StubExtractor(depth=depth)
    with make(ListSource(10, interval_s=0.01), extractor, kind, policy=policy) as pipeline:
        list(pipeline)
    assert extractor.niceness is not None
    assert (extractor.niceness > here) == yields
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == here


def test_the_number_of_opencv_threads_is_left_as_it_was() -> None:
    before = cv2.getNumThreads()
    with make(ListSource(5)) as pipeline:
        next(iter(pipeline))
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


def test_stage_times_are_filled_in() -> None:
    with make(ListSource(3)) as pipeline:
        times = [f.times_ms for f in pipeline][-1]
    assert (times.resize, times.network, times.keypoints) == (0.1, 0.2, 0.3)
    assert times.grab is not None
    assert times.queue is not None
    assert times.track is not None


def test_drop_oldest_shows_the_newest_and_counts_every_drop() -> None:
    source = ListSource(120, live=True, interval_s=0.002)
    with make(source, StubExtractor(delay_s=0.02), policy="drop_oldest", queue_size=1) as pipeline:
        indices = [f.frame.index for f in pipeline]
    assert indices == sorted(indices)
    counts = pipeline.counts
    # What a live source gives before the network is ready does not count.
    assert 40 < counts.read <= 120
    assert indices[-1] >= counts.read - 3
    assert counts.processed == len(indices) < counts.read / 2
    assert counts.read == counts.processed + counts.dropped


class LateExtractor(StubExtractor):
    """A network that takes its time to load."""

    def __enter__(self) -> Self:
        time.sleep(0.5)
        return super().__enter__()


def test_what_a_live_source_sends_while_the_network_loads_is_kept_where_none_may_be_lost() -> None:
    source = ListSource(None, live=True, fail_at=60, interval_s=0.001)
    indices: list[int] = []
    with make(source, LateExtractor(), policy="block") as pipeline, pytest.raises(SourceError, match="torn"):
        indices.extend(tracked.frame.index for tracked in pipeline)
    assert indices == list(range(60))
    assert pipeline.counts.read == 60


def test_the_capture_thread_alone_opens_and_releases() -> None:
    source = ListSource(3)
    with make(source) as pipeline:
        list(pipeline)
    assert source.opened_in == source.closed_in == "realtime-kp-capture"


def test_leaving_early_stops_the_threads_and_releases_the_source() -> None:
    source = ListSource(None)
    started_s = time.perf_counter()
    with make(source) as pipeline:
        next(iter(pipeline))
    assert time.perf_counter() - started_s < 2
    assert source.closed_in is not None
    counts = pipeline.counts
    assert counts.read == counts.processed + counts.dropped


@pytest.mark.parametrize(
    ("source", "extractor", "error", "message"),
    [
        (ListSource(fail_to_open=True), StubExtractor(), SourceError, "cannot be opened"),
        (ListSource(None, fail_at=5), StubExtractor(), SourceError, "torn"),
        (ListSource(None), StubExtractor(fail_to_load=True), RuntimeError, "does not load"),
        (ListSource(None), StubExtractor(fail_at=4), RuntimeError, "fails as ordered"),
    ],
)
def test_the_first_exception_of_a_thread_is_raised_within_two_seconds(
    source: ListSource, extractor: StubExtractor, error: type[Exception], message: str
) -> None:
    started_s = time.perf_counter()
    with pytest.raises(error, match=message) as caught, make(source, extractor) as pipeline:
        list(pipeline)
    assert time.perf_counter() - started_s < 2
    assert caught.traceback[-1].name != "poll"  # its own traceback, not the place where it was raised again


def test_an_exception_of_the_tracking_thread_is_raised() -> None:
    with (
        pytest.raises(RuntimeError, match="tracker fails"),
        Pipeline(ListSource(None), StubExtractor(), FailingTracker()) as pipeline,
    ):
        list(pipeline)


def test_an_exception_in_the_render_loop_passes_through() -> None:
    source = ListSource(None)
    with pytest.raises(ZeroDivisionError), make(source) as pipeline:
        [1 / (frame.frame.index - 3) for frame in pipeline]
    assert source.closed_in is not None


STAGES = ("capture", "inference", "tracking", "render")


@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
@pytest.mark.parametrize("stage", STAGES)
def test_an_exception_with_full_queues_ends_the_run_within_two_seconds(
    stage: str, policy: Literal["block", "drop_oldest"]
) -> None:
    go = threading.Event()

    def perhaps_fail(here: str) -> None:
        if here == stage and go.is_set():
            raise ZeroDivisionError(here)

    class Source(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                perhaps_fail("capture")
                yield frame

    class Network(StubExtractor):
        def _extract(self, keypoint_threshold: float | None) -> Extraction:
            perhaps_fail("inference")
            return super()._extract(keypoint_threshold)

    class FailingTracker(Tracker):
        def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
            perhaps_fail("tracking")
            return super().update(frame, keypoints)

    source = Source(None, live=policy != "block", interval_s=0.001)
    started_s = 0.0
    with (  # noqa: PT012
        pytest.raises(ZeroDivisionError, match=stage),
        Pipeline(
            source, Network(), FailingTracker(kind="descriptor"), policy=policy, queue_size=4
        ) as pipeline,
    ):
        assert within(5, lambda: pipeline.queue_depth == 4)
        started_s = time.perf_counter()
        go.set()
        for _ in pipeline:
            perhaps_fail("render")
    assert time.perf_counter() - started_s < 2
    assert source.closed_in is not None


def test_every_nth_frame_is_detected_and_all_are_tracked() -> None:
    extractor = StubExtractor()
    with make(ListSource(10), extractor, detect_every=3) as pipeline:
        frames = list(pipeline)
    assert [f.frame.index for f in frames if f.detected] == [0, 3, 6, 9]
    assert extractor.calls == 4
    assert pipeline.counts.detected == 4
    assert len(frames) == 10


def test_live_every_frame_is_tracked_while_the_network_takes_what_it_manages() -> None:
    source = ListSource(60, live=True, interval_s=0.01)
    with make(source, StubExtractor(delay_s=0.08), "hybrid", policy="auto") as pipeline:
        frames = list(pipeline)
    assert [f.frame.index for f in frames] == list(range(60))
    counts = pipeline.counts
    assert (counts.read, counts.processed, counts.dropped) == (60, 60, 0)
    assert 3 <= counts.detected <= 9
    late = [f for f in frames if f.late is not None]
    assert len(late) >= 3
    for f in late:
        assert f.keypoints is None
        assert f.detected
        assert f.late is not None
        assert f.late.frame_index < f.frame.index
        assert f.late.time_s == pytest.approx(f.late.frame_index / 30)
        assert f.detection_age == f.frame.index - f.late.frame_index
        assert f.times_ms.network is not None
    between = next(f for f in frames if f.frame.index == late[0].frame.index + 1)
    assert between.detection_age == (late[0].detection_age or 0) + 1
    assert between.newest is not None
    assert between.newest is late[0].late
    assert frames[0].detection_age is None


class SlowTracker(Tracker):
    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        time.sleep(0.02)
        return super().update(frame, keypoints)


def test_live_updates_since_the_newest_detection_are_counted_without_dropped_frames() -> None:
    source = ListSource(150, live=True, interval_s=0.006)
    with Pipeline(
        source, StubExtractor(delay_s=0.15), SlowTracker(), policy="drop_oldest", queue_size=1
    ) as pipeline:
        tracked = list(pipeline)
    indices = [one.frame.index for one in tracked]
    with_one = [one for one in tracked if one.newest is not None]
    for one in with_one:
        assert one.newest is not None
        since = [i for i in indices if one.newest.frame_index < i <= one.frame.index]
        assert one.updates_since_newest == len(since)
    assert any(0 < one.updates_since_newest < (one.detection_age or 0) for one in with_one)


def test_live_a_network_faster_than_the_tracker_is_not_ahead_of_it() -> None:
    source = ListSource(120, live=True, interval_s=0.002)
    with Pipeline(source, StubExtractor(), SlowTracker(), policy="drop_oldest") as pipeline:
        tracked = list(pipeline)
    detected = [one.late.frame_index if one.late else one.frame.index for one in tracked if one.detected]
    assert len(detected) > 3
    assert detected == sorted(set(detected))
    assert all(one.detection_age is None or one.detection_age >= 0 for one in tracked)


def test_pictures_of_their_own_wait_for_their_keypoints(tmp_path: Path) -> None:
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((48, 64, 3), 60 * i, np.uint8))
    source = open_source(str(tmp_path))
    with make(source, StubExtractor(delay_s=0.05), "hybrid", policy="drop_oldest") as pipeline:
        frames = list(pipeline)
    assert frames
    assert all(f.keypoints is not None and f.late is None for f in frames)


def test_live_the_network_may_be_held_to_every_nth_frame() -> None:
    source = ListSource(40, live=True, interval_s=0.005)
    with make(source, StubExtractor(), "hybrid", policy="drop_oldest", detect_every=5) as pipeline:
        frames = list(pipeline)
    told = [f.frame.index if f.late is None else f.late.frame_index for f in frames if f.detected]
    assert len(frames) + pipeline.counts.dropped == 40
    assert told
    assert all(index % 5 == 0 for index in told)


@pytest.mark.parametrize(("kind", "detect_every"), [("hybrid", 1), ("descriptor", "auto")])
def test_live_synchronous_every_tracked_frame_has_its_keypoints(
    kind: Literal["hybrid", "descriptor"], detect_every: int | str
) -> None:
    source = ListSource(60, live=True, interval_s=0.004)
    extractor = StubExtractor(delay_s=0.02)
    with make(source, extractor, kind, policy="drop_oldest", detect_every=detect_every) as pipeline:
        frames = list(pipeline)
    assert all(f.keypoints is not None and f.detection_age == 0 for f in frames)
    counts = pipeline.counts
    assert counts.dropped > 10
    assert counts.read == counts.processed + counts.dropped


def test_a_recording_is_tracked_synchronously_by_every_method() -> None:
    with make(ListSource(8), StubExtractor(), "hybrid", policy="auto") as pipeline:
        frames = list(pipeline)
    assert all(f.keypoints is not None for f in frames)
    assert pipeline.counts.detected == 8


def test_leaving_early_stops_the_threads_where_the_network_is_slower_than_the_source() -> None:
    source = ListSource(None, live=True, interval_s=0.002)
    started_s = time.perf_counter()
    with make(source, StubExtractor(delay_s=0.05), "hybrid", policy="auto") as pipeline:
        for frame in pipeline:
            if frame.frame.index > 30:
                break
    assert time.perf_counter() - started_s < 2
    assert source.closed_in is not None
    counts = pipeline.counts
    assert counts.read == counts.processed + counts.dropped


def test_reading_stops_at_the_number_of_frames_asked_for() -> None:
    with make(ListSource(None), max_frames=7) as pipeline:
        assert len(list(pipeline)) == 7
    assert pipeline.limited
    assert pipeline.counts.read == 7


def test_a_loop_goes_on_with_indices_and_times() -> None:
    with make(ListSource(4), loop=True, max_frames=10) as pipeline:
        frames = [f.frame for f in pipeline]
    assert [f.index for f in frames] == list(range(10))
    assert (np.diff([f.time_s for f in frames]) > 0).all()


@pytest.mark.parametrize("loop", [False, True])
def test_a_source_without_frames_is_an_error(loop: bool) -> None:
    with pytest.raises(SourceError, match="no frames"), make(ListSource(0), loop=loop) as pipeline:
        list(pipeline)


def test_a_new_threshold_reaches_the_network() -> None:
    extractor = StubExtractor()
    with make(ListSource(None), extractor) as pipeline:
        frames = iter(pipeline)
        next(frames)
        pipeline.apply(Controls(keypoint_threshold=0.25))
        for _ in range(10):
            next(frames)
    assert extractor.thresholds[0] is None
    assert extractor.thresholds[-1] == 0.25


def poll_all(pipeline: Pipeline, quiet_s: float = 0.2) -> list[TrackedFrame]:
    found = []
    while (tracked := pipeline.poll(quiet_s)) is not None:
        found.append(tracked)
    return found


def test_pause_and_step_through_a_recording() -> None:
    with make(ListSource(None), pacer=Pacer()) as pipeline:
        pipeline.poll(2)
        pipeline.apply(Controls(paused=True))
        before = poll_all(pipeline)
        last = before[-1].frame.index if before else 0
        assert pipeline.poll(0.2) is None
        pipeline.step()
        stepped = pipeline.poll(1)
        assert stepped is not None
        assert stepped.frame.index == last + 1
        assert pipeline.poll(0.2) is None
        pipeline.apply(Controls(paused=False))
        resumed = pipeline.poll(1)
        assert resumed is not None
        assert resumed.frame.index == last + 2
        # The pause is nobody's latency.
        assert time.perf_counter() - resumed.frame.captured_at_s < 0.3


def test_a_paused_camera_is_drained() -> None:
    source = ListSource(None, live=True, interval_s=0.005)
    with make(source, policy="drop_oldest") as pipeline:
        pipeline.poll(2)
        pipeline.apply(Controls(paused=True))
        poll_all(pipeline)
        read = pipeline.counts.read
        assert within(1, lambda: pipeline.counts.read > read + 5)
        assert pipeline.poll(0.05) is None
    assert pipeline.counts.read == pipeline.counts.processed + pipeline.counts.dropped


def test_stopping_while_paused_ends() -> None:
    with make(ListSource(None), pacer=Pacer()) as pipeline:
        pipeline.poll(2)
        pipeline.apply(Controls(paused=True))
        poll_all(pipeline)


def test_a_pacer_keeps_the_rate_and_counts_from_the_due_moment() -> None:
    with make(ListSource(30), StubExtractor(delay_s=0.0), pacer=Pacer(100.0)) as pipeline:
        done = [(time.perf_counter(), f.frame.captured_at_s) for f in pipeline]
    due = np.diff([captured for _, captured in done])
    np.testing.assert_allclose(due, 0.01, atol=1e-6)
    assert 0.28 < done[-1][0] - done[0][0] < 0.6
    assert all(finished >= captured for finished, captured in done)


def test_a_stall_shows_in_the_latency_of_the_frames_behind_it() -> None:
    with make(ListSource(20), StubExtractor(delay_s=0.03), pacer=Pacer(100.0)) as pipeline:
        latency_s = [time.perf_counter() - f.frame.captured_at_s for f in pipeline]
    assert latency_s[-1] > 0.25


def test_a_pipeline_runs_once() -> None:
    with make(ListSource(1)) as pipeline:
        list(pipeline)
    with pytest.raises(RuntimeError, match="once"), pipeline:
        pass


def test_damage_of_the_source_is_passed_on(clip: Path) -> None:
    source = ListSource(2)
    source.damage = "two frames torn"
    with make(source) as pipeline:
        list(pipeline)
    assert pipeline.damage == "two frames torn"


def test_a_real_file_goes_through(clip: Path) -> None:
    with Pipeline(open_source(clip), StubExtractor(), Tracker()) as pipeline:
        assert [round(f.frame.time_s * 25) for f in pipeline] == list(range(12))
    assert pipeline.source_info is not None
    assert pipeline.source_info.size_wh == (64, 48)


def test_a_loop_goes_on_at_once_where_the_clock_of_the_file_begins_late() -> None:
    class Late(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            return (replace(frame, time_s=frame.time_s + 1000) for frame in super().__iter__())

    with make(Late(4), loop=True, max_frames=10) as pipeline:
        times_s = [f.frame.time_s for f in pipeline]
    assert times_s[0] == 1000
    np.testing.assert_allclose(np.diff(times_s), 1 / 30, atol=1e-6)


def test_more_frames_done_than_are_wanted_end_the_run() -> None:
    with make(ListSource(40), skip=20, max_frames=10) as pipeline:
        assert list(pipeline) == []
    assert pipeline.limited
