"""Frames that a live source sends while the network is still being loaded, where none may be lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Event

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame

_MOST_BYTES = 512 * 2**20
_WAKE_S = 0.2


def kept_until_ready(frames: Iterator[Frame], ready: Event, stop: Event) -> Iterator[Frame]:
    """Read frames at once, so that they get their times of arrival, and give them when all is ready.

    Where the source fails meanwhile, the frames that came are given before the error is raised.

    Args:
        frames: Frames of a live source. Above 512 MiB of them, reading pauses.
        ready: Set when frames are wanted.
        stop: Set when the run ends.

    Raises:
        SourceError: The source failed.
    """
    held: deque[Frame] = deque()
    size, failure = 0, None
    while not ready.is_set() and not stop.is_set():
        if size >= _MOST_BYTES:
            ready.wait(_WAKE_S)
            continue
        try:
            frame = next(frames, None)
        except SourceError as exc:
            failure = exc
            frame = None
        if frame is None:
            break
        held.append(frame)
        size += frame.image_bgr.nbytes
    while not ready.wait(_WAKE_S) and not stop.is_set():
        pass
    while held:
        yield held.popleft()
    if failure is not None:
        raise failure
    yield from frames
