"""Increasing timestamps, for files in which they are out of order or missing."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Iterator

import av

log = logging.getLogger(__name__)


def with_increasing_times(
    pictures: Iterator[av.VideoFrame], fps: float | None, look_ahead: int
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Pair decoded frames with increasing timestamps in seconds.

    Decoders output frames in display order. Some files have lost their presentation times and carry those of
    the decoding order: sorting the timestamps within a small window restores them, and changes nothing in a
    sound file. A frame without a timestamp, or with one that does not increase, follows its predecessor at
    the nominal frame rate.

    Args:
        pictures: Decoded frames in display order.
        fps: Nominal frame rate; where it is needed and None, 30 is assumed and logged.
        look_ahead: Number of frames held back for sorting; 0 for live streams.
    """
    step_s = 1.0 / (fps or 30.0)
    held: deque[av.VideoFrame] = deque()
    times: list[float] = []
    last_s: float | None = None
    told = False

    def release() -> tuple[av.VideoFrame, float]:
        nonlocal last_s, told
        # A frame without a timestamp must not take one of another frame: it is marked by the missing entry.
        time_s = heapq.heappop(times) if len(times) == len(held) else None
        if time_s is None or (last_s is not None and time_s <= last_s):
            if not told:
                log.warning("timestamps missing or not increasing: assuming %.3g frames/s", 1 / step_s)
                told = True
            time_s = 0.0 if last_s is None else last_s + step_s
        last_s = time_s
        return held.popleft(), time_s

    for picture in pictures:
        held.append(picture)
        if picture.time is not None:
            heapq.heappush(times, picture.time)
        if len(held) > look_ahead:
            yield release()
    while held:
        yield release()
