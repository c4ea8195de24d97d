"""When a frame of a recording is due."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from realtime_kp.frame import Frame


class Pacer:
    """Holds frames back until they are due: at their own timestamps, or at a fixed rate.

    The due moment becomes the frame's `captured_at_s`: a frame that is handed on late carries its lateness
    into its latency, so a stall cannot hide itself.

    Args:
        rate: Frames a second; None keeps the source's own timestamps.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._zero_s: float | None = None
        self._count = 0

    def wait(self, frame: Frame, stop: threading.Event) -> Frame:
        """Wait until the frame is due, or `stop` is set.

        Returns:
            The frame, captured when it was due.
        """
        offset_s = frame.time_s if self._rate is None else self._count / self._rate
        self._count += 1
        if self._zero_s is None:
            self._zero_s = time.perf_counter() - offset_s
        due_s = self._zero_s + offset_s
        stop.wait(max(0.0, due_s - time.perf_counter()))
        return replace(frame, captured_at_s=due_s)

    def rebase(self) -> None:
        """The next frame is due at once, those after it follow: the source stood still."""
        self._zero_s = None
