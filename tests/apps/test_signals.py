"""Signals, sent to the real command."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.conftest import child_environment, within

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_a_playable_file(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "realtime_kp", "video", "demo?frames=5000", "--resize", "160", "-q"]
    outputs = ["-o", "out.mp4", "--tracks", "t.csv", "--summary", "s.json", "--log", "l.jsonl"]
    command = subprocess.Popen(
        [*words, *outputs], cwd=tmp_path, env=child_environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        log = tmp_path / "l.jsonl"
        assert within(60, lambda: log.exists() and len(log.read_text().splitlines()) > 20)
        command.send_signal(number)
        _, errors = command.communicate(timeout=5)
    finally:
        command.kill()
    assert command.returncode == 130
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("*.partial*"))
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["stopped_by"] == "signal"
    with av.open(str(tmp_path / "out.mp4")) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    assert decoded == summary["frames"]["written"] > 20
    with open(tmp_path / "t.csv", newline="") as table:
        assert max(int(row["frame"]) for row in csv.DictReader(table)) == decoded - 1


def test_the_module_runs_as_a_command(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "realtime_kp", "video", "nothing.mp4"]
    found = subprocess.run(
        words, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 3
    assert found.stderr.strip() == "realtime-kp: there is no file nothing.mp4"
