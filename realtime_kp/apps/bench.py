"""`bench`: measure, compare, report."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from realtime_kp.apps.exit_codes import DONE, INTERRUPTED, SLOWER
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import (
    changes_table,
    frame_entries,
    latency_table,
    model_entries,
    track_entries,
    write_json,
)
from realtime_kp.bench.baseline import compare, read_baseline, regressions
from realtime_kp.bench.latency import LoopResult, measure
from realtime_kp.bench.report import report_page
from realtime_kp.bench.trace import trace
from realtime_kp.bench.transformers_loop import TransformersResult, run_transformers_loop
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError
from realtime_kp.machine import describe_machine, peak_memory_mb
from realtime_kp.sinks import check_output, write_whole
from realtime_kp.sources import open_source

log = logging.getLogger(__name__)


def run_bench(source: str, config: AppConfig, console: Console, *, quiet: bool = False) -> int:
    """Measure the closed loop, with `rate` the open loop too, with `compare` transformers' loop as well.

    Returns:
        0; 7 where it is slower than the baseline by more than the tolerance; 130 where a signal ended it.

    Raises:
        RealtimeKpError: What went wrong.
    """
    if config.report.log is not None:
        raise ConfigError("bench writes no frame log; use --summary for its figures")
    for file in (config.report.summary, config.bench.html, config.bench.profile):
        if file is not None:
            check_output(file, overwrite=config.report.overwrite, inputs=[source])
    before = None if config.bench.baseline is None else read_baseline(config.bench.baseline)
    with StopSignals() as signals:
        closed = _measure(source, config, None, signals, quiet)
        opened = None
        if config.bench.rate is not None and not signals.received:
            opened = _measure(source, config, config.bench.rate, signals, quiet)
        # Read before transformers' loop, which needs more memory than ours.
        memory_mb = peak_memory_mb()
        theirs = None
        if config.bench.compare and not signals.received:
            theirs = run_transformers_loop(_frames(source, config), config.superpoint)
    if closed is None:
        log.warning("stopped during the warm-up: nothing was measured")
        return INTERRUPTED
    values = _to_dict(closed, opened, theirs, memory_mb, interrupted=signals.received)
    _write(config, values, {"closed loop": closed, "open loop": opened})
    if not quiet:
        _print(console, closed, opened, theirs, values)
    if signals.received:
        return INTERRUPTED
    return DONE if before is None else _judge(before, values, config.bench.tolerance, console)


def _write(config: AppConfig, values: Mapping[str, Any], loops: Mapping[str, LoopResult | None]) -> None:
    records = {name: loop.records for name, loop in loops.items() if loop is not None}
    if config.report.summary is not None:
        write_json(config.report.summary, values)
    if config.bench.profile is not None:
        write_json(config.bench.profile, trace(records))
    if config.bench.html is not None:
        write_whole(config.bench.html, report_page(values, records).encode())


def _judge(
    before: Mapping[str, Any], now: Mapping[str, Any], tolerance_percent: float, console: Console
) -> int:
    changes = compare(before, now)
    worse = regressions(changes, tolerance_percent)
    console.print(changes_table(changes, worse))
    if before.get("machine") != now["machine"]:
        log.warning("the baseline comes from another machine, or from other versions of the libraries")
    return SLOWER if worse else DONE


def _measure(
    source: str, config: AppConfig, rate: float | None, signals: StopSignals, quiet: bool
) -> LoopResult | None:
    label = "closed loop" if rate is None else f"open loop at {rate:g}/s"
    with Progress(console=Console(stderr=True), disable=quiet) as bars:
        task = bars.add_task(label, total=config.bench.warmup + config.bench.frames)
        return measure(
            source,
            config,
            rate=rate,
            stopped=lambda: signals.received,
            progress=lambda: bars.advance(task),
        )


def _frames(source: str, config: AppConfig) -> list[NDArray[np.uint8]]:
    with open_source(source, config.input) as opened:
        return [frame.image_bgr for frame in islice(opened, config.bench.compare_frames)]


def _to_dict(
    closed: LoopResult,
    opened: LoopResult | None,
    theirs: TransformersResult | None,
    memory_mb: float | None,
    *,
    interrupted: bool,
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "command": "bench",
        "source": closed.source,
        **model_entries(closed.model),
        "inference_size": list(closed.inference_size or ()),
        **_loop_dict(closed),
        "peak_memory_mb": memory_mb,
        "keypoints_per_frame": round(closed.keypoints_per_frame, 1),
        "wall_s": round(closed.wall_s, 3),
        "time_to_first_frame_s": round(closed.time_to_first_frame_s, 3),
        "tracks": track_entries(closed.tracks),
        "stopped_by": "signal" if interrupted else "end",
        "machine": describe_machine(),
    }
    if opened is not None:
        values["open_loop"] = {"rate": opened.rate, **_loop_dict(opened)}
    if theirs is not None:
        values["compare"] = {
            "transformers_fps": round(theirs.fps, 3),
            "ratio": round(closed.fps / theirs.fps, 3),
            "transformers_p50_ms": round(theirs.p50_ms, 3),
            "transformers_precision": "fp32",
            "frames": theirs.frames,
        }
    return values


def _loop_dict(result: LoopResult) -> dict[str, Any]:
    return {
        "frames": frame_entries(result.counts, written=0),
        "measured_frames": result.frames,
        "warmup_s": round(result.warmup_s, 3),
        "fps": round(result.fps, 3),
        "jitter_ms": round(result.jitter_ms, 3),
        "latency_ms": {stage: found.to_dict() for stage, found in result.latency.items()},
    }


def _print(
    console: Console,
    closed: LoopResult,
    opened: LoopResult | None,
    theirs: TransformersResult | None,
    values: Mapping[str, Any],
) -> None:
    machine, model = values["machine"], closed.model
    width, height = closed.inference_size or (0, 0)
    revision = f" at {model.revision}" if model.revision else ""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    for line in (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}",
        versions,
        f"{closed.source}: {model.model}{revision} on {model.engine} {model.device} {model.precision} "
        f"at {width}x{height}, {closed.keypoints_per_frame:.0f} keypoints a frame; "
        f"peak memory {values['peak_memory_mb']} MB",
    ):
        console.print(line, highlight=False)
    for title, result in (
        ("closed loop", closed),
        (f"open loop, {opened.rate:g}/s" if opened else "", opened),
    ):
        if result is not None:
            console.print(latency_table(f"{title}: latency, ms", result.latency))
            dropped = (
                "" if result.rate is None else f", {result.counts.dropped} of {result.counts.read} dropped"
            )
            console.print(
                f"{title}: {result.fps:.2f} FPS over {result.frames} frames, jitter {result.jitter_ms:.1f} ms"
                f"{dropped}; loading and warm-up {result.warmup_s:.1f} s",
                highlight=False,
            )
    if theirs is not None:
        console.print(
            f"transformers' own loop (fp32, keypoints only): {theirs.fps:.2f} FPS, "
            f"p50 {theirs.p50_ms:.0f} ms; this pipeline is {closed.fps / theirs.fps:.2f} times as fast",
            highlight=False,
        )
    console.print(
        "Latency is software only: sensor, driver and display come on top. The closed loop's end to end "
        "includes waiting behind the frames before.",
        highlight=False,
        style="dim",
    )
