"""Reconnection of live sources."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import FrameSource, SourceInfo, while_open

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.1
# A source that returns is noticed after the longest pause and one attempt at the latest.
_LONGEST_WAIT_S = 1.0


class ReconnectingSource:
    """A camera or stream that is reopened, with exponential back-off, when it stops, stalls or disappears.

    Missing frames are not replaced: the first frame after a gap has its real time and a new `session`. Only
    the first opening must succeed at once. Recordings end normally.

    Args:
        make: Creates the source, once per attempt.
        attempts: Largest number of consecutive failed attempts; None is unlimited.

    Attributes:
        damage: Damage of a recording; see `FrameSource`.
        lost_at_s: `time.perf_counter()` when the source was lost; None while it is connected.
    """

    def __init__(self, make: Callable[[], FrameSource], attempts: int | None) -> None:
        self._make = make
        self._attempts = attempts
        self._source: FrameSource | None = None
        self._info: SourceInfo | None = None
        self._interrupted = threading.Event()
        self.damage: str | None = None
        self.lost_at_s: float | None = None

    @property
    def info(self) -> SourceInfo:
        """Properties of the source when it was last opened."""
        return while_open(self._info)

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __iter__(self) -> Iterator[Frame]:
        index, session, failures = 0, 0, 0
        first_at_s: float | None = None
        while True:
            try:
                shift_s: float | None = None
                for frame in self._opened():
                    if first_at_s is None:
                        first_at_s = frame.captured_at_s - frame.time_s
                    if shift_s is None:
                        # The clock of the source may restart with each session; the wall clock does not.
                        shift_s = frame.captured_at_s - first_at_s - frame.time_s if session else 0.0
                        self._found()
                    failures = 0
                    yield replace(frame, index=index, time_s=frame.time_s + shift_s, session=session)
                    index += 1
                cause = SourceError(f"{self.info.name} ended")
            except SourceError as exc:
                if not self.info.live:
                    raise
                cause = exc
            if not self.info.live or self._interrupted.is_set():
                self.damage = None if self._source is None else self._source.damage
                return
            failures += 1
            session += 1
            self._lose(cause)
            if self._attempts is not None and failures > self._attempts:
                raise SourceError(f"{cause}; it did not come back in {self._attempts} attempts") from cause
            if self._interrupted.wait(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures - 1, 10))):
                return

    def interrupt(self) -> None:
        """Wake from a pause and stop reconnecting; may be called from any thread."""
        self._interrupted.set()

    def _opened(self) -> FrameSource:
        return self._source or self._open()

    def _open(self) -> FrameSource:
        source = self._make()
        source.__enter__()
        self._source, self._info = source, source.info
        return source

    def _close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.__exit__(None, None, None)

    def _lose(self, cause: SourceError) -> None:
        self._close()
        if self.lost_at_s is None:
            self.lost_at_s = time.perf_counter()
            log.warning("source lost: %s; trying again", cause)

    def _found(self) -> None:
        if self.lost_at_s is not None:
            log.warning("%s is back after %.1f s", self.info.name, time.perf_counter() - self.lost_at_s)
        self.lost_at_s = None
