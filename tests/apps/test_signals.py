"""Signals, sent to the real command."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from realtime_kp.apps.signals import interrupting
from tests.apps.command import Command
from tests.conftest import child_environment, within

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


def heed_signals() -> None:
    """Undo what the tests may have been started with: `nohup`, or `&` in a script."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


OUTPUTS = ("-o", "out.mp4", "--tracks", "t.csv", "--summary", "s.json", "--log", "l.jsonl")


@pytest.mark.parametrize(
    ("numbers", "apart_s", "frame"),
    [
        ([signal.SIGINT] * 2, 0.02, 1),
        ([signal.SIGINT] * 5, 0.05, 1),
        ([signal.SIGINT] * 4, 0.3, 30),
        ([signal.SIGINT, signal.SIGTERM], 0.1, 1),
        ([signal.SIGHUP], 0.0, 1),
    ],
)
def test_further_signals_change_nothing(
    tmp_path: Path, numbers: list[signal.Signals], apart_s: float, frame: int
) -> None:
    words = ("video", "demo?frames=5000", "--resize", "160", "-q", *OUTPUTS)
    with Command(tmp_path, *words, prepare=heed_signals) as command:
        command.wait_for(frame)
        for number in numbers:
            command.send(number)
            time.sleep(apart_s)
        code, errors = command.ended(30)
    assert (code, errors) == (130, "")
    check_whole(tmp_path)
    assert (tmp_path / "out.partial.state").exists()  # an interrupted run can be continued


def test_signals_before_the_first_frame_end_it_too(tmp_path: Path) -> None:
    for wait_s in (0.3, 1.5):
        words = ("video", "demo?frames=5000", "--resize", "160", "-q", "-o", "out.mp4")
        with Command(tmp_path, *words, prepare=heed_signals) as command:
            time.sleep(wait_s)
            command.send(signal.SIGINT)
            code, errors = command.ended(30)
        assert code in (130, -signal.SIGINT)  # before the interpreter is ready, the system ends it
        assert "Traceback" not in errors or code == -signal.SIGINT
        for left in tmp_path.iterdir():
            left.unlink()


def test_a_terminal_that_is_closed_stops_it_in_order(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        heed_signals()
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, "-m", "realtime_kp", "video", "demo?frames=5000", "--resize", "160", *OUTPUTS],
        cwd=tmp_path,
        env=child_environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=take_terminal,
    )
    try:
        os.close(theirs)
        log = tmp_path / "l.partial.jsonl"
        assert within(90, lambda: _logged(tmp_path) >= 20 or process.poll() is not None), log
        os.close(ours)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    check_whole(tmp_path)


def _logged(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.glob("l*.jsonl"))


def test_under_nohup_a_closed_terminal_does_not_stop_it(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    words = ("video", "demo?frames=60", "--resize", "160", "-q", *OUTPUTS)
    with Command(tmp_path, *words, prepare=ignore) as command:
        command.wait_for(2)
        command.send(signal.SIGHUP)
        assert command.ended(60) == (0, "")
    assert json.loads((tmp_path / "s.json").read_text())["stopped_by"] == "end"


def test_the_module_runs_as_a_command(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "realtime_kp", "video", "nothing.mp4"]
    found = subprocess.run(
        words, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 3
    assert found.stderr.strip() == "realtime-kp: there is no file nothing.mp4"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_may_stop_at_once_is_interrupted_by_every_signal(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def wait() -> None:
        with interrupting():
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        wait()
    assert signal.getsignal(number) is before
