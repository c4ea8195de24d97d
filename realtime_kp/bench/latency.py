"""Latency and throughput of the whole pipeline, closed and open loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime_kp.bench.trace import FrameRecord
from realtime_kp.config import AppConfig
from realtime_kp.errors import SourceError
from realtime_kp.features import ModelInfo
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import (
    FrameCounts,
    Pacer,
    Percentiles,
    RunMeter,
    build_pipeline,
)
from realtime_kp.render import Look, render
from realtime_kp.sinks import VideoFileSink
from realtime_kp.sources import open_source
from realtime_kp.timing import StageTimes
from realtime_kp.tracking import TrackCounts

_WAKE_S = 0.1


@dataclass(frozen=True, slots=True)
class LoopResult:
    """Results of one loop.

    Attributes:
        rate: Frames per second that were offered; None for the closed loop.
        frames: Number of measured frames, without warm-up.
        dropped: Number of frames dropped between them.
        source: Name of the source, without credentials.
        warmup_s: Time for loading, compiling and the warm-up frames.
        fps: Frames per second.
        detections_per_s: Frames per second whose keypoints reached the tracker.
        jitter_ms: Standard deviation of the interval between finished frames.
        core_ms: Mean processor time of all threads per frame: two cores busy for a millisecond count as two.
        latency: Percentiles by stage.
        counts: Frames of the run, with warm-up and frames in flight at the end.
        tracks: Track statistics of the run.
        keypoints_per_frame: Mean number of keypoints.
        model: The model that ran.
        inference_size: Width and height of the network input.
        wall_s: Duration of the run, with warm-up.
        time_to_first_frame_s: Time from the start to the first finished frame.
        records: Stage times of the measured frames.
    """

    rate: float | None
    frames: int
    dropped: int
    source: str
    warmup_s: float
    fps: float
    detections_per_s: float
    jitter_ms: float
    core_ms: float
    latency: Mapping[str, Percentiles]
    counts: FrameCounts
    tracks: TrackCounts
    keypoints_per_frame: float
    model: ModelInfo
    inference_size: tuple[int, int] | None
    wall_s: float
    time_to_first_frame_s: float
    records: tuple[FrameRecord, ...]


def measure(
    source: str,
    config: AppConfig,
    *,
    rate: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[], None] = lambda: None,
) -> LoopResult | None:
    """Run the pipeline on a source, with drawing and optionally encoding; short sources are repeated.

    Args:
        source: The source to read.
        config: All settings; `bench` gives the number of frames.
        rate: Open loop: offer frames at this rate, drop those that the pipeline cannot take, and count
            latency from the time at which each frame was due. None is the closed loop: the next frame is
            offered as soon as there is room, so that latency includes queueing.
        stopped: Called after each frame; True ends the measurement early.
        progress: Called after each frame.

    Returns:
        The results; None if stopped during the warm-up.

    Raises:
        SourceError: The source has no frames beyond the warm-up.
    """
    bench = config.bench
    wanted = bench.warmup + bench.frames
    pipeline = build_pipeline(
        open_source(source, config.input, demo_frames=None),
        config,
        policy="block" if rate is None else "drop_oldest",
        pacer=None if rate is None else Pacer(rate),
        loop=True,
        max_frames=wanted if rate is None else None,
    )
    meter = _Meter(bench.warmup)
    started_s = time.perf_counter()
    with ExitStack() as stack:
        draw = _Drawer(config, stack)
        stack.enter_context(pipeline)
        while not pipeline.finished and not stopped() and meter.seen < wanted:
            tracked = pipeline.poll(_WAKE_S)
            if tracked is not None:
                meter.take(tracked, draw, started_s)
                progress()
    if meter.measured is None or meter.seen <= bench.warmup + 1:
        if stopped():
            return None
        raise SourceError(
            f"{source} gave {meter.seen} frames: too few to measure after {bench.warmup} of warm-up"
        )
    return LoopResult(
        rate=rate,
        frames=meter.seen - bench.warmup,
        dropped=meter.dropped,
        source=pipeline.source_info.name if pipeline.source_info else "?",
        warmup_s=meter.warmup_s,
        fps=meter.measured.rate.overall,
        detections_per_s=meter.measured.detections.overall,
        jitter_ms=meter.jitter_ms,
        core_ms=meter.core_ms,
        latency=meter.measured.stages.percentiles(),
        counts=pipeline.counts,
        tracks=pipeline.tracker.counts,
        keypoints_per_frame=meter.measured.keypoints_per_frame,
        model=pipeline.model_info,
        inference_size=pipeline.inference_size,
        wall_s=time.perf_counter() - started_s,
        time_to_first_frame_s=meter.first_s,
        records=tuple(meter.records),
    )


class _Meter:
    """Measures the frames after the warm-up."""

    def __init__(self, warmup: int) -> None:
        self._warmup = warmup
        self._done_s: list[float] = []
        self._cores_at_s = 0.0
        self._cores_s = 0.0
        self.seen = 0
        self.first_s = 0.0
        self.warmup_s = 0.0
        self.measured: RunMeter | None = None
        self.records: list[FrameRecord] = []

    def take(self, tracked: TrackedFrame, draw: _Drawer, started_s: float) -> None:
        if self.measured is None and self.seen >= self._warmup:
            self.measured = RunMeter()
            self.warmup_s = time.perf_counter() - started_s
            self._cores_at_s = time.process_time()
        draw_at_s = time.perf_counter()
        draw_ms, output_ms = draw(tracked)
        self.seen += 1
        if self.seen == 1:
            self.first_s = time.perf_counter() - started_s
        if self.measured is not None:
            times = self.measured.done(tracked, draw_ms=draw_ms, output_ms=output_ms)
            self.records.append(_record(tracked, times, draw_at_s))
            self._done_s.append(time.perf_counter())
            self._cores_s = time.process_time() - self._cores_at_s

    @property
    def dropped(self) -> int:
        """Number of frames missing between the measured ones."""
        return self.records[-1].index - self.records[0].index + 1 - len(self.records)

    @property
    def core_ms(self) -> float:
        return self._cores_s * 1e3 / max(1, len(self._done_s))

    @property
    def jitter_ms(self) -> float:
        return float(np.std(np.diff(self._done_s)) * 1e3) if len(self._done_s) > 2 else 0.0


def _record(tracked: TrackedFrame, times: StageTimes, draw_at_s: float) -> FrameRecord:
    index = tracked.frame.index
    detected = tracked.late.frame_index if tracked.late is not None else index if tracked.detected else None
    return FrameRecord(
        index,
        detected,
        times,
        tracked.starts,
        draw_at_s,
        keypoints=0 if tracked.found is None else len(tracked.found),
        tracks=len(tracked.tracks),
    )


class _Drawer:
    """Draws as `video` does and, if asked, encodes to a temporary file."""

    def __init__(self, config: AppConfig, stack: ExitStack) -> None:
        self._config = config
        self._sink: VideoFileSink | None = None
        if config.bench.encode:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realtime-kp-")))
            self._sink = stack.enter_context(VideoFileSink(folder / "bench.mp4"))

    def __call__(self, tracked: TrackedFrame) -> tuple[float, float | None]:
        started_s = time.perf_counter()
        drawing = self._config.render
        image = render(tracked, drawing.layers, look=Look.of(drawing))
        drawn_s = time.perf_counter()
        if self._sink is None:
            return (drawn_s - started_s) * 1e3, None
        self._sink.write(image, tracked)
        return (drawn_s - started_s) * 1e3, (time.perf_counter() - drawn_s) * 1e3
