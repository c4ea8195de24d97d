"""Results of `bench` as a dictionary and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from realtime_kp.apps.summary import (
    figures_table,
    frame_entries,
    latency_table,
    model_entries,
    track_entries,
)
from realtime_kp.bench.comparison import Comparison
from realtime_kp.bench.latency import LoopResult
from realtime_kp.bench.stage_costs import StageCost
from realtime_kp.config import AppConfig
from realtime_kp.machine import describe_machine

if TYPE_CHECKING:
    from realtime_kp.bench.serving import ServingResult


def bench_dict(
    config: AppConfig,
    closed: LoopResult,
    opened: LoopResult | None,
    pieces: Sequence[StageCost],
    compared: Comparison | None,
    *,
    memory_mb: float | None,
    interrupted: bool,
) -> dict[str, Any]:
    """All results as plain values."""
    values: dict[str, Any] = {
        "command": "bench",
        "source": closed.source,
        **model_entries(closed.model),
        "inference_size": list(closed.inference_size or ()),
        "settings": _settings(config),
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
    if pieces:
        values["pieces"] = {
            piece.stage: {"p50_ms": round(piece.p50_ms, 3), "core_ms": round(piece.core_ms, 3)}
            for piece in pieces
        }
    swept = [row for row in compared.rows if row.settings] if compared is not None else []
    if swept:
        values["sweep"] = [row.to_dict() for row in swept]
    theirs = None if compared is None else compared.transformers
    if compared is not None and theirs is not None:
        fps = closed.fps if swept else compared.rows[0].fps
        values["compare"] = {
            "fps": round(fps, 3),
            "transformers_fps": round(theirs.fps, 3),
            "ratio": round(fps / theirs.fps, 3),
            "transformers_p50_ms": round(theirs.p50_ms, 3),
            "transformers_precision": "fp32",
            "frames": theirs.frames,
            "loops": {name: loop.to_dict() for name, loop in compared.others.items()},
        }
    return values


def _settings(config: AppConfig) -> dict[str, Any]:
    """Settings on which the work per frame depends."""
    return {
        "tracker": config.tracking.kind,
        "max_keypoints": config.superpoint.max_keypoints,
        "keypoint_threshold": config.superpoint.keypoint_threshold,
        "batch": config.pipeline.batch,
        "detect_every": config.pipeline.detect_every,
        "draw": sorted(config.render.layers),
        "encode": config.bench.encode,
    }


def _loop_dict(result: LoopResult) -> dict[str, Any]:
    return {
        "frames": frame_entries(result.counts, written=0),
        "measured_frames": result.frames,
        "measured_dropped": result.dropped,
        "warmup_s": round(result.warmup_s, 3),
        "fps": round(result.fps, 3),
        "detections_per_s": round(result.detections_per_s, 3),
        "jitter_ms": round(result.jitter_ms, 3),
        "core_ms": round(result.core_ms, 3),
        "latency_ms": {stage: found.to_dict() for stage, found in result.latency.items()},
    }


def print_bench(
    console: Console,
    closed: LoopResult,
    opened: LoopResult | None,
    pieces: Sequence[StageCost],
    compared: Comparison | None,
    values: Mapping[str, Any],
) -> None:
    """Print all results, with the machine."""
    for line in _heading(closed, values):
        console.print(line, highlight=False)
    _print_loop(console, "closed loop", closed)
    if opened is not None:
        _print_loop(console, f"open loop, {opened.rate:g}/s", opened)
    if pieces:
        console.print(_stage_cost_table(pieces))
    if compared is not None:
        console.print(_comparison_table(closed, compared))
    console.print(
        "Latency is software only: sensor, driver and display come on top. The closed loop's end to end "
        "includes waiting behind the frames before.",
        highlight=False,
        style="dim",
    )


def print_serving(console: Console, served: ServingResult) -> None:
    """Print what serving one viewer took."""
    console.print(
        f"one viewer: {served.sent} of {served.frames} frames in {served.seconds:.1f} s, "
        f"{served.kbit_per_s:.0f} kbit/s; encoding {served.encoder_share:.1%} of a core, "
        f"all else {served.other_share:.1%}",
        highlight=False,
    )
    if served.run_ms is not None and served.arrival_ms is not None:
        console.print(
            f"from capture until handed over p50 {served.run_ms.p50:.1f} ms, p95 {served.run_ms.p95:.1f} ms; "
            f"until the picture has arrived p50 {served.arrival_ms.p50:.1f} ms, "
            f"p95 {served.arrival_ms.p95:.1f} ms",
            highlight=False,
        )


def _heading(closed: LoopResult, values: Mapping[str, Any]) -> Iterator[str]:
    machine, model = values["machine"], closed.model
    width, height = closed.inference_size or (0, 0)
    revision = f" at {model.revision}" if model.revision else ""
    yield f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}"
    yield ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    yield (
        f"{closed.source}: {model.model}{revision} on {model.engine} {model.device} {model.precision} "
        f"at {width}x{height}, {closed.keypoints_per_frame:.0f} keypoints a frame; "
        f"peak memory {values['peak_memory_mb']} MB"
    )


def _print_loop(console: Console, title: str, result: LoopResult) -> None:
    console.print(latency_table(f"{title}: latency, ms", result.latency))
    due = result.frames + result.dropped
    dropped = "" if result.rate is None else f", {result.dropped} of {due} dropped"
    console.print(
        f"{title}: {result.fps:.2f} FPS over {result.frames} frames, "
        f"{result.detections_per_s:.1f} detections a second, jitter {result.jitter_ms:.1f} ms, "
        f"{result.core_ms:.0f} core-ms a frame{dropped}; "
        f"loading and warm-up {result.warmup_s:.1f} s",
        highlight=False,
    )


def _stage_cost_table(pieces: Sequence[StageCost]) -> Table:
    table = figures_table("each stage by itself", "stage", ("p50 ms", "core-ms"))
    for piece in pieces:
        table.add_row(piece.stage, f"{piece.p50_ms:.1f}", f"{piece.core_ms:.1f}")
    network = sum(piece.core_ms for piece in pieces if piece.stage == "network")
    rest = sum(piece.core_ms for piece in pieces) - network
    if network:
        table.caption = f"all but the network: {rest:.0f} core-ms, {rest / network:.0%} of the network's"
    return table


def _comparison_table(closed: LoopResult, compared: Comparison) -> Table:
    theirs = compared.transformers
    table = figures_table(
        "in turn, medians", "loop", ("frames/s", "to transformers", "core-ms", "keypoints a frame")
    )

    def add(name: str, fps: float, core_ms: float, keypoints: float) -> None:
        ratio = f"{fps / theirs.fps:.2f}" if theirs else ""
        table.add_row(name, f"{fps:.2f}", ratio, f"{core_ms:.0f}", f"{keypoints:.0f}")

    for row in compared.rows:
        add(row.name, row.fps, row.core_ms, row.keypoints_per_frame)
    for name, loop in compared.others.items():
        add(name, loop.fps, loop.core_ms, loop.keypoints_per_frame)
    table.caption = "ours decode, track and draw as well; theirs only find keypoints, ORB and SIFT also match"
    if theirs:
        table.caption += f"; transformers' with the weights {closed.model.model}"
    return table
