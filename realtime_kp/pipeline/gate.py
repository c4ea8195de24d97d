"""Pausing and stepping the capture thread."""

from __future__ import annotations

import threading


class Gate:
    """Open, or closed with single passes handed out; `open`, `step` and `release` wake who waits at it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self._passes = 0
        self._released = False

    def close(self) -> None:
        """Let nobody pass from now on."""
        with self._changed:
            if not self._closed:
                self._passes = 0
            self._closed = True

    def open(self) -> None:
        """Let everybody pass."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def step(self) -> None:
        """Let one pass although it is closed."""
        with self._changed:
            self._passes += 1
            self._changed.notify_all()

    def release(self) -> None:
        """Open for good: the pipeline ends."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def try_pass(self) -> bool:
        """Whether one may pass now; takes a pass if that is what it needs."""
        with self._changed:
            return self._take()

    def wait_to_pass(self) -> None:
        """Wait until one may pass."""
        with self._changed:
            self._changed.wait_for(self._take)

    def _take(self) -> bool:
        if self._released or not self._closed:
            return True
        if self._passes:
            self._passes -= 1
            return True
        return False
