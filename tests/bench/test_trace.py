from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from realtime_kp.bench.trace import THREADS, FrameRecord, lanes, rows_of, spans, trace
from realtime_kp.cli import main
from realtime_kp.timing import StageStarts, StageTimes

TIMES = StageTimes(
    grab=2, queue=1, resize=1, network=30, keypoints=4, track=6, draw=3, output=None, end_to_end=50
)
RECORD = FrameRecord(7, 5, TIMES, StageStarts(grab=10.0, detect=9.95, track=10.01), draw_at_s=10.02)


def test_stages_follow_each_other_on_their_threads() -> None:
    found = {span.stage: span for span in spans(RECORD)}
    assert list(found) == ["grab", "resize", "network", "keypoints", "track", "draw"]
    assert found["network"].start_s == pytest.approx(9.951)
    assert found["keypoints"].start_s == pytest.approx(9.981)
    assert {span.thread: span.index for span in found.values()} == {
        "capture": 7,
        "inference": 5,
        "tracking": 7,
        "render": 7,
    }


def test_a_frame_that_the_network_did_not_look_at_has_no_inference() -> None:
    record = FrameRecord(7, None, StageTimes(grab=2, track=6), StageStarts(grab=1.0, track=1.1), 1.2)
    assert [span.stage for span in spans(record)] == ["grab", "track"]


def test_frames_that_the_network_has_at_once_lie_in_rows_beside_each_other() -> None:
    # Each takes 35 ms and begins 20 ms after the one before.
    records = [
        FrameRecord(
            i, i, TIMES, StageStarts(grab=10 + i / 50, detect=10.01 + i / 50, track=11.0 + i), 12.0 + i
        )
        for i in range(4)
    ]
    found = lanes(span for record in records for span in spans(record))
    rows = {span.index: span.thread for span in found if span.stage == "network"}
    assert rows == {0: "inference", 1: "inference 2", 2: "inference", 3: "inference 2"}
    assert rows_of(found) == ["capture", "inference", "inference 2", "tracking", "render"]


def test_a_trace_names_its_rows_and_begins_at_0() -> None:
    events = trace({"closed loop": [RECORD], "open loop": [RECORD]})["traceEvents"]
    names = [e["args"]["name"] for e in events if e["ph"] == "M" and e["pid"] == 2]
    assert names == ["open loop", *THREADS]
    assert min(e["ts"] for e in events if e["ph"] == "X") == 0
    grab = next(e for e in events if e["name"] == "grab")
    assert (grab["ts"], grab["dur"], grab["args"]) == (50_000, 2_000, {"frame": 7})


@pytest.mark.slow
def test_the_command_writes_what_every_thread_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["bench", "demo", "--model", "small", "--resize", "320", "--frames", "12", "--warmup", "3"]
    assert main([*command, "--rate", "5", "--profile", "trace.json", "-q"]) == 0
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    rows: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    frames: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            rows[event["pid"], event["tid"]].append(event)
            frames[event["pid"], event["args"]["frame"]].append(event)
    assert len(rows) >= 2 * len(THREADS)
    for row in rows.values():
        row.sort(key=lambda e: e["ts"])
        # A thread does one thing at a time.
        assert all(a["ts"] + a["dur"] <= b["ts"] + 200 for a, b in pairwise(row))
    for (process, _), found in frames.items():
        if process == 1:
            found.sort(key=lambda e: e["ts"])
            assert [e["name"] for e in found] == ["grab", "resize", "network", "keypoints", "track", "draw"]
    assert main([*command, "--profile", "trace.json", "-q"]) == 5
