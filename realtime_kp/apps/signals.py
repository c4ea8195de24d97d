"""SIGINT, SIGTERM and SIGHUP as a request to stop, instead of an exception in the middle of a write."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

IMPATIENT_AFTER_S = 2.0  # a double press, or a shell that sends one to the whole group, is one request
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # not every system has all


class StopSignals:
    """While active, the first signal only sets `received`, and so do all within two seconds after it.

    A later one interrupts at once. SIGHUP comes when the terminal is closed: what is printed from then on
    goes nowhere. Where it is ignored from the start, as by `nohup`, it stays so.

    Attributes:
        received: Whether a stop was requested.
    """

    def __init__(self) -> None:
        self.received = False
        self._first_s = 0.0
        self._before: dict[signal.Signals, Any] = {}
        self._terminals: list[int] = []

    def __enter__(self) -> Self:
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        for number in _known():
            before = signal.getsignal(number)
            if number.name == "SIGHUP" and before is signal.SIG_IGN:
                continue
            self._before[number] = before
            signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.received:
            return  # the process is about to end, in order: a further signal must not disturb it
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self.received and now_s - self._first_s > IMPATIENT_AFTER_S:
            raise KeyboardInterrupt
        if not self.received:
            self.received, self._first_s = True, now_s
        if signal.Signals(number).name == "SIGHUP":
            self._leave_terminal()

    def _leave_terminal(self) -> None:
        # Writing to a terminal that is gone fails, which would spoil the orderly end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for terminal in self._terminals:
            os.dup2(nowhere, terminal)
        os.close(nowhere)
        self._terminals = []


@contextmanager
def interrupting() -> Iterator[None]:
    """While active, every signal that requests a stop raises `KeyboardInterrupt`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _known()}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore all that request a stop: the interpreter is shutting down, and its exit status is decided."""
    for number in _known():
        signal.signal(number, signal.SIG_IGN)


def _known() -> list[signal.Signals]:
    return [signal.Signals[name] for name in _NAMES if hasattr(signal, name)]
