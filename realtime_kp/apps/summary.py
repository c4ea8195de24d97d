"""Summary of a run: tables for the terminal, a JSON file for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from realtime_kp.bench.regression import Change
from realtime_kp.features import ModelInfo
from realtime_kp.machine import peak_memory_mb
from realtime_kp.pipeline import FrameCounts, Percentiles, Pipeline, RunMeter
from realtime_kp.sinks import write_atomically
from realtime_kp.tracking import TrackCounts

StoppedBy = Literal["end", "user", "signal", "source_lost", "limit"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Content of `summary.json`.

    Attributes:
        command: The command.
        source: The source.
        values: All further entries, as in the file.
        latency: Percentiles by stage.
    """

    command: str
    source: str
    values: Mapping[str, Any]
    latency: Mapping[str, Percentiles]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the file."""
        values = dict(self.values)
        values["latency_ms"] = {stage: found.to_dict() for stage, found in self.latency.items()}
        return {"command": self.command, "source": self.source, **values}


def summarise(
    command: str,
    source: str,
    pipeline: Pipeline,
    meter: RunMeter,
    *,
    written: int,
    stopped_by: StoppedBy,
) -> Summary:
    """Summarise a finished run.

    Args:
        command: The command.
        source: The source, without credentials.
        pipeline: The pipeline, after exit.
        meter: Measurements of the render loop.
        written: Number of frames written to video or images.
        stopped_by: Reason of the end.
    """
    counts, tracks = pipeline.counts, pipeline.tracker.counts
    info = pipeline.model_info if counts.processed else None
    first, source_info = meter.time_to_first_frame_s, pipeline.source_info
    values: dict[str, Any] = {
        **model_entries(info),
        "inference_size": list(pipeline.inference_size) if pipeline.inference_size else None,
        "frames": frame_entries(counts, written),
        "begin_s": None if source_info is None else round(source_info.begin_s, 6),
        "wall_s": round(meter.wall_s, 3),
        "fps": round(meter.rate.overall, 3),
        "time_to_first_frame_s": None if first is None else round(first, 3),
        "peak_memory_mb": peak_memory_mb(),
        "keypoints_per_frame": round(meter.keypoints_per_frame, 1),
        "detections": detection_entries(pipeline, meter),
        "tracks": track_entries(tracks),
        "stopped_by": stopped_by,
    }
    return Summary(command, source, values, meter.stages.percentiles())


def model_entries(info: ModelInfo | None) -> dict[str, str | None]:
    """Entries on the model; empty where no frame was processed."""
    names = ("model", "revision", "device", "engine", "precision")
    return {name: getattr(info, name) if info else None for name in names}


def frame_entries(counts: FrameCounts, written: int) -> dict[str, int]:
    """Entries on the number of frames read, processed, dropped, detected and written."""
    return {**asdict(counts), "written": written}


def detection_entries(pipeline: Pipeline, meter: RunMeter) -> dict[str, float | None]:
    """Entries on rate and age of detections."""
    age = meter.mean_detection_age
    return {
        "per_s": round(meter.detections.overall, 3),
        "mean_age_frames": None if age is None else round(age, 2),
        "expired": pipeline.tracker.expired,
    }


def track_entries(counts: TrackCounts) -> dict[str, float]:
    """Entries on the tracks."""
    return {**asdict(counts), "mean_length": round(counts.mean_length, 2)}


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file by an atomic rename.

    Raises:
        SinkError: The file cannot be written.
    """
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())


def print_summary(summary: Summary, console: Console) -> None:
    """Print the summary as tables."""
    values = summary.values
    frames, tracks = values["frames"], values["tracks"]
    figures = (
        f": {frames['processed']} frames, {values['fps']:.1f} FPS, {frames['dropped']} dropped, "
        f"{frames['written']} written; stopped by {values['stopped_by']}"
    )
    console.print(Text.assemble((summary.source, "bold"), figures), highlight=False)
    if values["model"] is not None:
        width, height = values["inference_size"] or (0, 0)
        revision = f" at {values['revision']}" if values["revision"] else ""
        console.print(
            f"{values['model']}{revision} on {values['engine']} {values['device']} {values['precision']} at "
            f"{width}x{height}: {values['keypoints_per_frame']:.0f} keypoints a frame, "
            f"{tracks['confirmed']} tracks of {tracks['mean_length']:.1f} frames on average",
            highlight=False,
        )
        detections = values["detections"]
        if detections["mean_age_frames"]:
            console.print(
                f"{frames['detected']} detections, {detections['per_s']:.1f} a second, "
                f"{detections['mean_age_frames']:.1f} frames old on average",
                highlight=False,
            )
    if summary.latency:
        console.print(latency_table("latency, ms", summary.latency))


def figures_table(title: str, what: str, figures: Iterable[str]) -> Table:
    """An empty table: one column for the names of the rows, and one per figure."""
    table = Table(title=title, title_justify="left")
    table.add_column(what)
    for name in figures:
        table.add_column(name, justify="right")
    return table


def latency_table(title: str, latency: Mapping[str, Percentiles]) -> Table:
    """A table of percentiles by stage."""
    table = figures_table(title, "stage", ("p50", "p95", "p99", "max"))
    for stage, found in latency.items():
        table.add_row(stage, *(f"{value:.1f}" for value in (found.p50, found.p95, found.p99, found.max)))
    return table


def changes_table(changes: Sequence[Change], worse: Sequence[Change]) -> Table:
    """A table of figures before and now; those beyond the tolerance are marked."""
    table = figures_table("against the baseline", "figure", ("before", "now", "slower by"))
    for change in changes:
        mark = " !" if change in worse else ""
        table.add_row(change.name, f"{change.before:.1f}", f"{change.now:.1f}", f"{change.slower:+.1%}{mark}")
    return table
