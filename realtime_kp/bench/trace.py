"""What every thread did when, as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open.

The format is the Trace Event Format's JSON: complete events (`"ph": "X"`), microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from realtime_kp.timing import StageStarts, StageTimes

THREADS = ("capture", "inference", "tracking", "render")
# Stages are timed one by one: from one to the next the clock goes on a little.
_SLACK_S = 1e-4


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One measured frame.

    Attributes:
        index: Of the frame.
        detected_index: Of the frame whose keypoints arrived with it; None where none did.
        times_ms: What the stages took.
        starts: When capture, inference and tracking began with it.
        draw_at_s: When the render loop did, `time.perf_counter`.
        keypoints: How many arrived with it.
        tracks: How many are alive at it, lost ones included.
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
        stage: Its name, as in `StageTimes`.
        thread: Where it ran.
        index: Of the frame.
        start_s: `time.perf_counter`.
        ms: How long it took.
    """

    stage: str
    thread: str
    index: int
    start_s: float
    ms: float


def spans(record: FrameRecord) -> Iterator[Span]:
    """The stages of a frame that ran, each on its thread."""
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
    """Spans by their start; a frame that its thread began with before another was done gets a row beside it.

    The network may see several frames at once. What then overlaps comes as `inference`, `inference 2`, ….
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
    """The rows that spans lie in, in the order of a frame's way."""
    return sorted({span.thread for span in found}, key=lambda row: (THREADS.index(row.split()[0]), row))


def trace(loops: Mapping[str, Sequence[FrameRecord]]) -> dict[str, Any]:
    """All spans of all loops, a process a loop, a row a thread.

    Args:
        loops: Records of each loop, by its name.
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
