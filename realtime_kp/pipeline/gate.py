"""Pause and single-step control of the capture thread."""

from __future__ import annotations

import threading


class Gate:
    """Lets frames pass while open; while closed, each `step` lets one frame pass.

    `open`, `step` and `release` wake the waiting thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self._steps = 0
        self._released = False

    def close(self) -> None:
        """Block all frames; steps left over from before are discarded."""
        with self._changed:
            if not self._closed:
                self._steps = 0
            self._closed = True

    def open(self) -> None:
        """Let all frames pass."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def step(self) -> None:
        """Let one frame pass while closed."""
        with self._changed:
            self._steps += 1
            self._changed.notify_all()

    def release(self) -> None:
        """Open permanently, because the pipeline is ending."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def try_pass(self) -> bool:
        """Return whether a frame may pass now, without waiting; while closed this uses up one step."""
        with self._changed:
            return self._try_take()

    def wait_to_pass(self) -> None:
        """Wait until a frame may pass."""
        with self._changed:
            self._changed.wait_for(self._try_take)

    def _try_take(self) -> bool:
        if self._released or not self._closed:
            return True
        if self._steps:
            self._steps -= 1
            return True
        return False
