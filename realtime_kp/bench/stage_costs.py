"""Cost of each stage in isolation: wall time and processor time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import AppConfig
from realtime_kp.errors import SourceError
from realtime_kp.evaluation.one_core import one_core
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, TrackedFrame
from realtime_kp.render import Look, render
from realtime_kp.sinks import VideoFileSink
from realtime_kp.sources import FrameSource, open_source
from realtime_kp.tracking import Tracker


@dataclass(frozen=True, slots=True)
class StageCost:
    """Cost of one stage.

    Attributes:
        stage: As in `StageTimes`; `output` is encoding.
        p50_ms: Median wall time per frame.
        core_ms: Mean processor time of all threads per frame: two cores busy for a millisecond count as two.
    """

    stage: str
    p50_ms: float
    core_ms: float


def measure_stage_costs(
    source: str, config: AppConfig, frames: int, *, stopped: Callable[[], bool] = lambda: False
) -> list[StageCost]:
    """Run the stages one after another on the same frames, each with as many threads as in the pipeline.

    Args:
        source: The source to read; its first `frames` frames, fewer if it is shorter.
        config: All settings.
        frames: Number of frames.
        stopped: Called between stages; True ends the measurement early.

    Returns:
        Costs in the order of the stages, of those measured so far if stopped.

    Raises:
        SourceError: The source has fewer than two frames.
    """
    clock = _Clock()
    with open_source(source, config.input, demo_frames=None) as opened, one_core():
        images = list(islice(_clocked(opened, clock), frames))
        if len(images) < 2:
            raise SourceError(f"{source} holds {len(images)} frames: too few to measure")
        if not stopped():
            found = _detect(images, config, clock)
        if not stopped():
            tracked = _track(images, found, config, clock)
        if not stopped():
            _draw_and_encode(tracked, config, clock)
    return clock.costs()


def _clocked(source: FrameSource, clock: _Clock) -> Iterator[Frame]:
    frames = iter(source)
    while True:
        with clock("grab"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _detect(frames: list[Frame], config: AppConfig, clock: _Clock) -> list[Keypoints]:
    found = []
    with SuperPoint(config.superpoint) as superpoint:
        superpoint.warm_up(frames[0].size_wh)
        for frame in frames:
            images = [frame.image_bgr]
            with clock("resize"):
                grey = superpoint.prepare(images)
            with clock("network"):
                outputs = superpoint.run(grey)
            with clock("keypoints"):
                found += superpoint.decode(*outputs, source_wh=frame.size_wh)
    return found


def _track(
    frames: list[Frame], found: list[Keypoints], config: AppConfig, clock: _Clock
) -> list[TrackedFrame]:
    tracker = Tracker(config.tracking, trail_length=config.render.trail_length)
    tracked = []
    for frame, keypoints in zip(frames, found, strict=True):
        with clock("track"):
            tracks = tracker.update(frame, keypoints)
        tracked.append(TrackedFrame(frame, keypoints, tracks))
    return tracked


def _draw_and_encode(tracked: list[TrackedFrame], config: AppConfig, clock: _Clock) -> None:
    drawing = config.render
    images = []
    for each in tracked:
        with clock("draw"):
            images.append(render(each, drawing.layers, look=Look.of(drawing)))
    # The encoder works on several frames at once and outputs the last ones when it is closed.
    with (
        tempfile.TemporaryDirectory(prefix="realtime-kp-") as folder,
        clock("output", frames=len(tracked)),
        VideoFileSink(Path(folder) / "pieces.mp4") as sink,
    ):
        for image, each in zip(images, tracked, strict=True):
            sink.write(image, each)


@dataclass(slots=True)
class _Clock:
    """Collects times by stage."""

    _times_ms: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str, frames: int = 1) -> Iterator[None]:
        started_s, cores_s = time.perf_counter(), time.process_time()
        yield
        took_s = np.array([time.perf_counter() - started_s, time.process_time() - cores_s])
        self._times_ms.setdefault(stage, []).append(took_s * 1e3 / frames)

    def costs(self) -> list[StageCost]:
        """Costs without the first call of each stage, which still allocates memory."""
        found = []
        for stage, times in self._times_ms.items():
            wall_ms, cores_ms = np.array(times[1:] or times).T
            found.append(StageCost(stage, float(np.median(wall_ms)), float(cores_ms.mean())))
        return found
