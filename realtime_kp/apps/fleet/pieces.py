"""Pieces of a long video, whose keypoints other workers find ahead of the one that tracks."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from realtime_kp.features import Extraction
from realtime_kp.frame import Frame

# Times around a seam may differ by a little where a video is read from another place.
MARGIN_S = 0.5
_WAKE_S = 0.2
# Tracking takes about so much of the time of detection and tracking, on one core.
_COST_OF_READY = 0.2
_ENOUGH_WORK = 0.8


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a frame.

    Attributes:
        time_s: Its time.
        key: What it shows, by `key_of`.
        extraction: Its keypoints.
    """

    time_s: float
    key: bytes
    extraction: Extraction


# Fetches what was found in frames that follow each other; raises `LookupError` where it is lost.
Fetch = Callable[[], Sequence[Found]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a video.

    Attributes:
        number: Its place among the pieces, from 0.
        start_s: Time of its first frame.
        end_s: Time at which the next one starts.
    """

    number: int
    start_s: float
    end_s: float


@dataclass(slots=True)
class _Progress:
    """How far a helper has come with a piece.

    Attributes:
        helper: Who has it.
        reached_s: Time of the last frame whose keypoints are here.
        done: Whether no more will come.
        batches: What is not fetched yet, with the time of its first frame.
    """

    helper: str
    reached_s: float = -1.0
    done: bool = False
    batches: deque[tuple[float, Fetch]] = field(default_factory=deque)


def key_of(frame: Frame) -> bytes:
    """What the network sees of a frame, as a digest: frames of equal keys have equal keypoints."""
    digest = hashlib.blake2b(np.ascontiguousarray(frame.analysed_bgr).data, digest_size=16)
    digest.update(str(frame.analysed_bgr.shape).encode())
    if frame.mask is not None:
        digest.update(frame.mask.tobytes())
    return digest.digest()


class Pieces:
    """Who finds the keypoints of which piece of one video.

    The worker that tracks asks for the frames in order. It runs its own network wherever nobody else has
    taken the piece, and wherever what came does not hold the very frame: results are those of one worker
    alone, wherever a video is cut. The other methods are called on other threads.

    Args:
        length_s: Length of a piece.
        stopped: Whether the run is to end.
    """

    def __init__(self, length_s: float, stopped: Callable[[], bool]) -> None:
        self._length_s = length_s
        self._stopped = stopped
        self._changed = threading.Condition()
        self._end_s = 0.0
        self._current = -1
        self._current_s = 0.0
        self._taken: dict[int, _Progress | None] = {}
        self._fetched: dict[bytes, Found] = {}
        self.found_elsewhere = 0

    def set_end(self, end_s: float) -> None:
        """Tell the length of the video; before, no piece is given away."""
        with self._changed:
            self._end_s = end_s

    @property
    def open(self) -> int:
        """Number of pieces that a helper might take."""
        with self._changed:
            return len(self._free())

    def claim(self, helper: str) -> Piece | None:
        """Give a helper a piece to find keypoints in; None where it can do nothing now."""
        with self._changed:
            free = self._free()
            if self._work_left() < _ENOUGH_WORK:
                free = free[1:]  # for the network of the tracking worker, which would come to wait
            helpers = {progress.helper for progress in self._taken.values() if progress is not None}
            unused = sum(progress is not None for progress in self._ahead())
            # Each piece that waits to be used takes room.
            if not free or unused >= 2 * len(helpers | {helper}):
                return None
            self._taken[free[0]] = _Progress(helper)
            return self._piece(free[0])

    def offer(self, helper: str, number: int, begin_s: float, reached_s: float, fetch: Fetch | None) -> bool:
        """Take keypoints of a piece.

        Args:
            helper: Who has found them.
            number: The piece.
            begin_s: Time of the first frame among them.
            reached_s: Time of the last one.
            fetch: Fetches them; None tells that all have come.

        Returns:
            Whether more of this piece are wanted.
        """
        with self._changed:
            progress = self._taken.get(number)
            if progress is None or progress.helper != helper or number < self._current:
                return False
            if fetch is None:
                progress.done = True
            else:
                progress.reached_s = reached_s
                progress.batches.append((begin_s, fetch))
            self._changed.notify_all()
            return True

    def release(self, helper: str) -> None:
        """Take back what a helper has not finished, because it has ended."""
        with self._changed:
            for number, progress in list(self._taken.items()):
                if progress is None or progress.helper != helper or progress.done:
                    continue
                if number > self._current:
                    del self._taken[number]
                else:
                    progress.done = True
            self._changed.notify_all()

    def found(self, frame: Frame) -> Extraction | None:
        """What a helper has found in a frame; waits for it. None where the network has to run here."""
        progress = self._enter(frame.time_s)
        if progress is None:
            return None
        key, latest_s = key_of(frame), frame.time_s + MARGIN_S
        while True:
            if key in self._fetched:
                self.found_elsewhere += 1
                return self._fetched[key].extraction
            fetch = self._next_batch(progress, latest_s)
            if fetch is None:
                return None
            try:
                newer = fetch()
            except LookupError:
                self.release(progress.helper)
                continue
            kept = [one for one in self._fetched.values() if one.time_s > frame.time_s - MARGIN_S]
            self._fetched = {one.key: one for one in (*kept, *newer)}

    def _enter(self, time_s: float) -> _Progress | None:
        """Note where the tracking worker is; a piece that nobody has taken is its own."""
        number = int(time_s / self._length_s)
        with self._changed:
            self._current_s = time_s
            if number != self._current:
                self._current = number
                self._fetched.clear()
                for passed in [taken for taken in self._taken if taken < number]:
                    del self._taken[passed]
            return self._taken.setdefault(number, None)

    def _next_batch(self, progress: _Progress, latest_s: float) -> Fetch | None:
        """The next batch that may hold a frame, awaited; None where none will."""
        with self._changed:
            while not progress.batches:
                if progress.done or progress.reached_s > latest_s or self._stopped():
                    return None
                self._changed.wait(_WAKE_S)
            return progress.batches.popleft()[1] if progress.batches[0][0] <= latest_s else None

    def _work_left(self) -> float:
        """How long the tracking worker has to do without a new piece, in lengths of its own detection."""
        ready = sum(progress is not None and progress.done for progress in self._ahead())
        own = self._taken.get(self._current) is None
        left = (self._current + 1 - self._current_s / self._length_s) if own else 0.0
        return left + ready * _COST_OF_READY

    def _free(self) -> list[int]:
        """Pieces ahead that nobody has, in order; none before the first frame."""
        if self._current < 0:
            return []
        last = int(max(0.0, self._end_s - 1e-6) / self._length_s)
        return [number for number in range(self._current + 1, last + 1) if number not in self._taken]

    def _ahead(self) -> list[_Progress | None]:
        return [progress for number, progress in self._taken.items() if number > self._current]

    def _piece(self, number: int) -> Piece:
        return Piece(number, number * self._length_s, (number + 1) * self._length_s)
