"""What every thread did when, as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open.

The format is the Trace Event Format's JSON: complete events (`"ph": "X"`), microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realtime_kp.timing import StageStarts, StageTimes

THREADS = ("capture", "inference", "tracking", "render")


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One measured frame.

    Attributes:
        index: Of the frame.
        detected_index: Of the frame whose keypoints arrived with it; None where none did.
        times_ms: What the stages took.
        starts: When capture, inference and tracking began with it.
        draw_at_s: When the render loop did, `time.perf_counter`.
    """

    index: int
    detected_index: int | None
    times_ms: StageTimes
    starts: StageStarts
    draw_at_s: float


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


def trace(loops: Mapping[str, Sequence[FrameRecord]]) -> dict[str, Any]:
    """All spans of all loops, a process a loop, a row a thread.

    Args:
        loops: Records of each loop, by its name.
    """
    events: list[dict[str, Any]] = []
    for process, (name, records) in enumerate(loops.items(), start=1):
        events.append(_name("process_name", process, 0, name))
        events += [_name("thread_name", process, i, thread) for i, thread in enumerate(THREADS)]
        found = [span for record in records for span in spans(record)]
        began_s = min((span.start_s for span in found), default=0.0)
        events += [
            {
                "name": span.stage,
                "ph": "X",
                "ts": round((span.start_s - began_s) * 1e6, 1),
                "dur": round(span.ms * 1e3, 1),
                "pid": process,
                "tid": THREADS.index(span.thread),
                "args": {"frame": span.index},
            }
            for span in found
        ]
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}
