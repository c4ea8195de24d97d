"""Signals, sent to the real command."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from tests.apps.command import Command
from tests.conftest import child_environment

pytestmark = pytest.mark.slow


def at_random_frames(count: int) -> list[tuple[signal.Signals, int]]:
    """Signals in turn, each with the frame after which it is sent."""
    frames = np.random.default_rng(6).integers(1, 150, count).tolist()
    return [((signal.SIGINT, signal.SIGTERM)[n % 2], frame) for n, frame in enumerate(frames)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(
    "ends",
    [
        at_random_frames(4),
        pytest.param(at_random_frames(20), marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_a_signal_closes_a_playable_file(tmp_path: Path, ends: list[tuple[signal.Signals, int]]) -> None:
    outputs = ["-o", "out.mp4", "--tracks", "t.csv", "--summary", "s.json", "--log", "l.jsonl"]
    for turn, (number, frame) in enumerate(ends):
        folder = tmp_path / str(turn)
        folder.mkdir()
        with Command(folder, "video", "demo?frames=5000", "--resize", "160", "-q", *outputs) as command:
            command.wait_for(frame)
            sent_s = time.perf_counter()
            command.send(number)
            code, errors = command.ended(10)
            assert time.perf_counter() - sent_s < 2
        assert code == 130
        assert errors == ""
        check_whole(folder)


def check_whole(folder: Path) -> None:
    """Everything under its final name, and all of it about the same frames."""
    assert not list(folder.glob("*.partial.mkv"))
    summary = json.loads((folder / "s.json").read_text())
    assert summary["stopped_by"] == "signal"
    with av.open(str(folder / "out.mp4")) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    assert decoded == summary["frames"]["written"] > 0
    logged = [json.loads(line) for line in (folder / "l.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in logged] == list(range(decoded))
    with open(folder / "t.csv", newline="") as table:
        rows = Counter(int(row["frame"]) for row in csv.DictReader(table))
    assert rows == Counter({line["frame"]: line["tracks"] for line in logged if line["tracks"]})


def test_the_module_runs_as_a_command(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "realtime_kp", "video", "nothing.mp4"]
    found = subprocess.run(
        words, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 3
    assert found.stderr.strip() == "realtime-kp: there is no file nothing.mp4"
