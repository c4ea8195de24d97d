"""What it costs to show a live run to one browser."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from realtime_kp.config import AppConfig, ServeConfig
from realtime_kp.errors import SourceError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pacer, Percentiles, Pipeline, RunMeter, build_pipeline
from realtime_kp.render import Look, render
from realtime_kp.serve import LiveStatus, LiveView, PageSettings, ViewServer
from realtime_kp.sources import open_source

_RATE = 30.0
_TELL_EVERY_S = 0.2
_WAKE_S = 0.1
_VIEWER_S = 20.0


@dataclass(frozen=True, slots=True)
class ServingResult:
    """What serving one viewer took.

    Attributes:
        frames: Number of measured frames.
        sent: Number of pictures that reached the viewer.
        seconds: Duration.
        encoder_share: Processor time of encoding, as a share of one core.
        other_share: Processor time of all else that serving takes, as a share of one core.
        kbit_per_s: What was sent, pictures and tracks.
        run_ms: Latency from capture until a frame was handed over.
        arrival_ms: From capture until the picture was at the viewer, a process on this machine.
    """

    frames: int
    sent: int
    seconds: float
    encoder_share: float
    other_share: float
    kbit_per_s: float
    run_ms: Percentiles | None
    arrival_ms: Percentiles | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "frames": self.frames,
            "sent": self.sent,
            "encoder_core_percent": round(100 * self.encoder_share, 2),
            "other_core_percent": round(100 * self.other_share, 2),
            "kbit_per_s": round(self.kbit_per_s, 1),
            "run_ms": None if self.run_ms is None else self.run_ms.to_dict(),
            "arrival_ms": None if self.arrival_ms is None else self.arrival_ms.to_dict(),
        }


def measure_serving(
    source: str,
    config: AppConfig,
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[], None] = lambda: None,
) -> ServingResult | None:
    """Run a source live, at its own pace, with a viewer in another process.

    Args:
        source: The source to read; short ones are repeated.
        config: All settings; `bench` gives the number of frames, and the rate, 30 unless given.
        stopped: Called after each frame; True ends the measurement early.
        progress: Called after each frame.

    Returns:
        The results; None if stopped during the warm-up.

    Raises:
        SourceError: The source has no frames beyond the warm-up.
        SinkError: There is no port to serve at.
    """
    bench = config.bench
    pipeline = build_pipeline(
        open_source(source, config.input, demo_frames=None),
        config,
        policy="drop_oldest",
        pacer=Pacer(bench.rate or _RATE),
        loop=True,
        select_model=True,
    )
    with ExitStack() as stack:
        settings = PageSettings(source, look=Look.of(config.render))
        # It tells what it has seen when the server ends, so it has to outlive it.
        viewer = stack.enter_context(_Viewer())
        server = stack.enter_context(ViewServer(ServeConfig(address="0"), settings))
        viewer.start(server.address)
        loop = _Loop(config, server)
        stack.enter_context(pipeline)
        loop.run(pipeline, bench.warmup + bench.frames, stopped, progress)
    if loop.measured < 2:
        if stopped():
            return None
        raise SourceError(f"{source} gave too few frames to measure after {bench.warmup} of warm-up")
    return loop.result(viewer.told)


class _Viewer:
    """The process of the viewer.

    Attributes:
        told: What it has seen; empty until it has ended.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.told: Mapping[str, Any] = {}

    def start(self, address: str) -> None:
        """Watch the server at an address, until it ends."""
        words = [sys.executable, "-m", "realtime_kp.bench.viewer", address]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        try:
            text, _ = self._process.communicate(timeout=_VIEWER_S)
            self.told = json.loads(text) if text else {}
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class _Loop:
    """The render loop of a live run, without a window."""

    def __init__(self, config: AppConfig, server: ViewServer) -> None:
        self._config = config
        self._server = server
        self._meter = RunMeter()
        self._begin = self._end = _Costs(0.0, 0.0, 0.0, 0.0)
        self._handing_s = 0.0
        self._told_at_s = 0.0
        self.measured = 0

    def run(
        self, pipeline: Pipeline, wanted: int, stopped: Callable[[], bool], progress: Callable[[], None]
    ) -> None:
        """Show so many frames."""
        seen = 0
        while not pipeline.finished and not stopped() and seen < wanted:
            tracked = pipeline.poll(_WAKE_S)
            if tracked is None:
                continue
            self._show(tracked)
            seen += 1
            progress()
            if seen == self._config.bench.warmup:
                self._begin, self._meter = self._costs(), RunMeter()
            elif seen > self._config.bench.warmup:
                self._meter.done(tracked, draw_ms=None, output_ms=None)
                self.measured += 1
        self._end = self._costs()

    def result(self, seen: Mapping[str, Any]) -> ServingResult:
        """The results, with what the viewer has seen."""
        spent = self._end - self._begin
        arrivals_ms = seen.get("arrival_ms", [])[-self.measured :]
        share = 1 / max(spent.wall_s, 1e-9)
        everything_s = spent.thread_s + spent.loop_s
        return ServingResult(
            frames=self.measured,
            sent=len(arrivals_ms),
            seconds=spent.wall_s,
            encoder_share=spent.encoding_s * share,
            other_share=(everything_s - spent.encoding_s) * share,
            kbit_per_s=_kbit(seen) * self.measured * share / max(1, seen.get("pictures", 0)),
            run_ms=self._meter.recent.percentiles(),
            arrival_ms=Percentiles.of(arrivals_ms),
        )

    def _show(self, tracked: TrackedFrame) -> None:
        drawn_bgr = render(tracked, self._config.render.layers, look=Look.of(self._config.render))
        started_s = time.thread_time()
        self._server.show(LiveView(tracked, drawn_bgr))
        now_s = time.perf_counter()
        if now_s - self._told_at_s > _TELL_EVERY_S:
            self._told_at_s = now_s
            self._server.tell(LiveStatus(phase="running", reason=""))
        self._handing_s += time.thread_time() - started_s

    def _costs(self) -> _Costs:
        encoder = self._server.encoder
        return _Costs(
            time.perf_counter(), encoder.encoding_s, encoder.thread_s, self._server.loop_s + self._handing_s
        )


@dataclass(frozen=True, slots=True)
class _Costs:
    """Processor seconds so far, and the time."""

    wall_s: float
    encoding_s: float
    thread_s: float
    loop_s: float

    def __sub__(self, before: _Costs) -> _Costs:
        return _Costs(
            self.wall_s - before.wall_s,
            self.encoding_s - before.encoding_s,
            self.thread_s - before.thread_s,
            self.loop_s - before.loop_s,
        )


def _kbit(seen: Mapping[str, Any]) -> float:
    return float(seen.get("bytes", 0)) * 8 / 1000
