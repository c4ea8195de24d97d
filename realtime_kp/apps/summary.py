"""The figures of a run: a table for the terminal, a JSON file for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from realtime_kp.errors import SinkError
from realtime_kp.machine import peak_memory_mb
from realtime_kp.pipeline import Percentiles, Pipeline, RunMeter
from realtime_kp.sinks import PartialFile

StoppedBy = Literal["end", "user", "signal", "source_lost", "limit"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What `summary.json` holds.

    Attributes:
        command: Which command ran.
        source: What was read.
        values: All further entries, as they stand in the file.
        latency: Percentiles by stage.
    """

    command: str
    source: str
    values: Mapping[str, Any]
    latency: Mapping[str, Percentiles]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the file has them."""
        values = dict(self.values)
        values["latency_ms"] = {stage: found.to_dict() for stage, found in self.latency.items()}
        return {"command": self.command, "source": self.source, **values, **self.extra}


def summarise(
    command: str,
    source: str,
    pipeline: Pipeline,
    meter: RunMeter,
    *,
    written: int,
    stopped_by: StoppedBy,
    extra: Mapping[str, Any] | None = None,
) -> Summary:
    """Collect the figures of a run that is over.

    Args:
        command: Which command ran.
        source: What was read, without credentials.
        pipeline: The pipeline, exited.
        meter: What the render loop measured.
        written: Frames written to video or pictures.
        stopped_by: Why it ended.
        extra: Further entries.
    """
    counts, tracks = pipeline.counts, pipeline.tracker.counts
    info = pipeline.model_info if counts.processed else None
    first = meter.time_to_first_frame_s
    values: dict[str, Any] = {
        "model": info.model if info else None,
        "revision": info.revision if info else None,
        "device": info.device if info else None,
        "engine": info.engine if info else None,
        "precision": info.precision if info else None,
        "inference_size": list(pipeline.inference_size) if pipeline.inference_size else None,
        "frames": {
            "read": counts.read,
            "processed": counts.processed,
            "dropped": counts.dropped,
            "detected": counts.detected,
            "written": written,
        },
        "wall_s": round(meter.wall_s, 3),
        "fps": round(meter.rate.overall, 3),
        "time_to_first_frame_s": None if first is None else round(first, 3),
        "peak_memory_mb": peak_memory_mb(),
        "keypoints_per_frame": round(meter.keypoints_per_frame, 1),
        "tracks": {
            "started": tracks.started,
            "confirmed": tracks.confirmed,
            "mean_length": round(tracks.mean_length, 2),
            "median_length": tracks.median_length,
        },
        "stopped_by": stopped_by,
    }
    return Summary(command, source, values, meter.stages.percentiles(), extra or {})


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file; it appears under its name only when whole.

    Raises:
        SinkError: The file system refuses.
    """
    file = PartialFile(path)
    try:
        file.partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        file.abandon(worth_keeping=False)
        raise SinkError(f"cannot write {path}: {exc.strerror}") from exc
    file.commit()


def print_summary(summary: Summary, console: Console) -> None:
    """Show the figures as tables."""
    values = summary.values
    frames, tracks = values["frames"], values["tracks"]
    console.print(
        f"[bold]{summary.source}[/bold]: {frames['processed']} frames, {values['fps']:.1f} FPS, "
        f"{frames['dropped']} dropped, {frames['written']} written; stopped by {values['stopped_by']}",
        highlight=False,
    )
    if values["model"] is not None:
        width, height = values["inference_size"] or (0, 0)
        revision = f" at {values['revision']}" if values["revision"] else ""
        console.print(
            f"{values['model']}{revision} on {values['engine']} {values['device']} {values['precision']} at "
            f"{width}x{height}: {values['keypoints_per_frame']:.0f} keypoints a frame, "
            f"{tracks['confirmed']} tracks of {tracks['mean_length']:.1f} frames on average",
            highlight=False,
        )
    if summary.latency:
        console.print(latency_table("latency, ms", summary.latency))


def latency_table(title: str, latency: Mapping[str, Percentiles]) -> Table:
    """Stages by percentiles."""
    table = Table(title=title, title_justify="left")
    table.add_column("stage")
    for name in ("p50", "p95", "p99", "max"):
        table.add_column(name, justify="right")
    for stage, found in latency.items():
        table.add_row(stage, *(f"{value:.1f}" for value in (found.p50, found.p95, found.p99, found.max)))
    return table
