"""The real command as a subprocess that a test watches through its frame log."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conftest import child_environment, within


class Command:
    """Runs `realtime-kp` in a folder, and never longer than the test that started it.

    Args:
        folder: Where it runs; its frame log is expected to be `l.jsonl` there.
        words: What follows `realtime-kp`.
        prepare: Called in the child before the command starts.
    """

    def __init__(self, folder: Path, *words: str, prepare: Callable[[], None] | None = None) -> None:
        self.log = folder / "l.jsonl"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "realtime_kp", *words],
            cwd=folder,
            env=child_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def logged(self) -> int:
        """Frames in the log so far."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def wait_for(self, frames: int) -> None:
        """Wait until so many frames are done."""
        assert within(90, lambda: self.logged >= frames or self._process.poll() is not None)
        assert self._process.poll() is None, self._process.communicate()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def ended(self, timeout_s: float) -> tuple[int, str]:
        """Its exit code and what it wrote to stderr, within a time."""
        _, errors = self._process.communicate(timeout=timeout_s)
        return self._process.returncode, errors
