"""Timeline of all threads as a trace for Perfetto (ui.perfetto.dev) and chrome://tracing.

The format is Trace Event Format JSON: complete events (`"ph": "X"`), microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from realtime_kp.timing import StageStarts, StageTimes

THREADS = ("capture", "inference", "tracking", "render")
# Stages are timed separately: a little time passes from one to the next.
_SLACK_S = 1e-4


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """Times of one measured frame.

    Attributes:
        index: Index of the frame.
        detected_index: Index of the frame whose keypoints arrived with it; None where none did.
        times_ms: Stage times.
        starts: Start times of capture, inference and tracking.
        draw_at_s: Start of drawing, `time.perf_counter`.
        keypoints: Number of keypoints that arrived with it.
        tracks: Number of current tracks, with lost ones.
    """

    index: int
    detected_index: int | None
    times_ms: StageTimes
    starts: StageStarts
    draw_at_s: float
    keypoints: int = 0
    tracks: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of one frame.

    Attributes:
        stage: Name, as in `StageTimes`.
        thread: Thread that ran it.
        index: Index of the frame.
        start_s: Start, `time.perf_counter`.
        ms: Duration.
    """

    stage: str
    thread: str
    index: int
    start_s: float
    ms: float


def spans(record: FrameRecord) -> Iterator[Span]:
    """The stages that ran for a frame, each on its thread."""
    chains = (
        ("capture", record.index, record.starts.grab, ("grab",)),
        ("inference", record.detected_index, record.starts.detect, ("resize", "network", "keypoints")),
        ("tracking", record.index, record.starts.track, ("track",)),
        ("render", record.index, record.draw_at_s, ("draw", "output")),
    )
    for thread, index, start_s, stages in chains:
        if index is None or start_s is None:
            continue
        for stage in stages:
            ms: float | None = getattr(record.times_ms, stage)
            if ms is not None:
                yield Span(stage, thread, index, start_s, ms)
                start_s += ms / 1e3


def lanes(found: Iterable[Span]) -> list[Span]:
    """Sort spans by start time; overlapping spans of a thread are moved to further rows.

    The network may process several frames at once: overlapping spans are named `inference`, `inference 2`, ….
    """
    ends: dict[str, float] = {}
    rows: dict[tuple[str, int], str] = {}
    frames: dict[tuple[str, int], list[Span]] = {}
    for span in found:
        frames.setdefault((span.thread, span.index), []).append(span)
    for key, group in sorted(frames.items(), key=lambda item: item[1][0].start_s):
        names = (f"{key[0]} {n}" if n > 1 else key[0] for n in count(1))
        rows[key] = next(name for name in names if ends.get(name, -math.inf) <= group[0].start_s + _SLACK_S)
        ends[rows[key]] = group[-1].start_s + group[-1].ms / 1e3
    placed = [replace(span, thread=rows[key]) for key, group in frames.items() for span in group]
    return sorted(placed, key=lambda span: span.start_s)


def rows_of(found: Iterable[Span]) -> list[str]:
    """Names of the rows, in the order in which a frame passes them."""
    return sorted({span.thread for span in found}, key=lambda row: (THREADS.index(row.split()[0]), row))


def trace(loops: Mapping[str, Sequence[FrameRecord]]) -> dict[str, Any]:
    """All spans of all loops: one process per loop, one row per thread.

    Args:
        loops: Records of each loop by name.
    """
    events: list[dict[str, Any]] = []
    for process, (name, records) in enumerate(loops.items(), start=1):
        events.append(_name("process_name", process, 0, name))
        found = lanes(span for record in records for span in spans(record))
        rows = rows_of(found)
        events += [_name("thread_name", process, i, row) for i, row in enumerate(rows)]
        began_s = min((span.start_s for span in found), default=0.0)
        events += [
            {
                "name": span.stage,
                "ph": "X",
                "ts": round((span.start_s - began_s) * 1e6, 1),
                "dur": round(span.ms * 1e3, 1),
                "pid": process,
                "tid": rows.index(span.thread),
                "args": {"frame": span.index},
            }
            for span in found
        ]
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}
