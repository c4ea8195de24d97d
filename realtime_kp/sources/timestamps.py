"""Increasing timestamps, for files in which they are out of order, missing, or of several clocks."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av

log = logging.getLogger(__name__)

_FORWARD_S, _BACKWARD_S = 30.0, 1.0
_TOO_SOON = 0.75


@dataclass(frozen=True, slots=True)
class Timed:
    """A decoded frame with its time.

    Attributes:
        picture: The frame.
        time_s: On the clock of the file, continued over jumps of that clock.
        jumps: How often the clock has jumped so far.
    """

    picture: av.VideoFrame
    time_s: float
    jumps: int


class IncreasingTimes:
    """Pairs decoded frames with increasing timestamps.

    Decoders output frames in display order. Some files have lost their presentation times and carry those of
    the decoding order: sorting the timestamps within a small window restores them, and changes nothing in a
    sound file. A frame without a timestamp, or with one that does not increase, follows its predecessor at
    the nominal frame rate. So does the first frame after a jump of the clock, where parts of transport
    streams were joined.

    Args:
        name: Of the file, for messages.
        fps: Nominal frame rate; where it is needed and None, 30 is assumed and logged.
        look_ahead: Number of frames held back for sorting; 0 for live streams.
        constant_rate: Whether no frame can come sooner after another than the others do: of H.264 in AVI,
            FFmpeg takes the last one for a field.
        clock_may_jump: Whether times that leap are another clock; else such a frame is late.
        tell: Log what is odd.
    """

    def __init__(
        self,
        name: str,
        fps: float | None,
        look_ahead: int,
        *,
        clock_may_jump: bool,
        constant_rate: bool = False,
        tell: bool = True,
    ) -> None:
        self._name = name
        self._step_s = 1.0 / (fps or 30.0)
        self._look_ahead = look_ahead
        self._clock_may_jump = clock_may_jump
        self._held: deque[av.VideoFrame] = deque()
        self._times: list[float] = []
        self._newest_s: float | None = None
        self._last_s: float | None = None
        self._shift_s = 0.0
        self._constant_rate = constant_rate
        self._least_step_s: float | None = None
        self._jumps = 0
        self._level = logging.WARNING if tell else logging.DEBUG
        self._told = False

    def pair(self, pictures: Iterator[av.VideoFrame]) -> Iterator[Timed]:
        """Pair frames in display order with their times; once per object."""
        for picture in pictures:
            if picture.time is not None and self._jumped(picture.time):
                yield from self._release_all()
                self._begin_again(picture.time)
            self._held.append(picture)
            if picture.time is not None:
                self._newest_s = picture.time
                heapq.heappush(self._times, picture.time + self._shift_s)
            if len(self._held) > self._look_ahead:
                yield self._release()
        yield from self._release_all()

    def _jumped(self, time_s: float) -> bool:
        if not self._clock_may_jump or self._newest_s is None:
            return False
        # After a loss a frame may come too early: only what is before all frames held is back in time.
        oldest_s = min(self._times, default=self._newest_s + self._shift_s) - self._shift_s
        backward_s = max(_BACKWARD_S, 4 * self._look_ahead * self._step_s)
        return time_s < oldest_s - backward_s or time_s > self._newest_s + _FORWARD_S

    def _begin_again(self, time_s: float) -> None:
        assert self._newest_s is not None
        after_s = self._newest_s + self._shift_s if self._last_s is None else self._last_s
        by_s = time_s - self._newest_s
        log.log(self._level, "%s: its clock jumps by %+.3g s: shortened to a frame", self._name, by_s)
        self._shift_s = after_s + self._step_s - time_s
        self._jumps += 1

    def _release_all(self) -> Iterator[Timed]:
        while self._held:
            yield self._release()

    def _release(self) -> Timed:
        # A frame without a timestamp must not take one of another frame: it is marked by the missing entry.
        time_s = heapq.heappop(self._times) if len(self._times) == len(self._held) else None
        if time_s is None or (self._last_s is not None and time_s <= self._last_s):
            if not self._told:
                rate = 1 / self._step_s
                message = "%s: timestamps missing or not increasing: assuming %.3g frames/s"
                log.log(self._level, message, self._name, rate)
                self._told = True
            time_s = 0.0 if self._last_s is None else self._last_s + self._step_s
        elif self._constant_rate and self._last_s is not None:
            time_s = self._not_too_soon(time_s, self._last_s)
        self._last_s = time_s
        return Timed(self._held.popleft(), time_s, self._jumps)

    def _not_too_soon(self, time_s: float, last_s: float) -> float:
        least_s, step_s = self._least_step_s, time_s - last_s
        if least_s is not None and step_s < _TOO_SOON * least_s:
            return last_s + least_s
        self._least_step_s = step_s if least_s is None else min(least_s, step_s)
        return time_s
