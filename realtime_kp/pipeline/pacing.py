"""Pacing of recordings in real time."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from realtime_kp.frame import Frame


class Pacer:
    """Delays frames until they are due, by their timestamps or at a fixed rate.

    The due time becomes the frame's `captured_at_s`. Latency thus counts from the intended arrival (open
    loop), so a stall of the pipeline shows in the latency of the frames that it delays.

    Args:
        rate: Frames per second; None uses the source's timestamps.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._zero_s: float | None = None
        self._count = 0

    def wait(self, frame: Frame, stop: threading.Event) -> Frame:
        """Wait until the frame is due, or `stop` is set.

        Args:
            frame: The frame.
            stop: Ends the waiting early.

        Returns:
            The frame, with the due time as `captured_at_s`.
        """
        offset_s = frame.time_s if self._rate is None else self._count / self._rate
        self._count += 1
        if self._zero_s is None:
            self._zero_s = time.perf_counter() - offset_s
        due_s = self._zero_s + offset_s
        stop.wait(max(0.0, due_s - time.perf_counter()))
        return replace(frame, captured_at_s=due_s)

    def rebase(self) -> None:
        """Restart the clock after a pause: the next frame is due immediately, later ones relative to it."""
        self._zero_s = None
