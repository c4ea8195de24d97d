"""What is still to be sent to one viewer: the newest of each kind, never a queue that grows."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from realtime_kp.serve.picture import Picture

T = TypeVar("T")

# Frames on their way without an answer: more would only wait in buffers of the network, and grow old.
WINDOW = 8
# Answers that take longer make them fewer, those that are faster make them more, up to the limit.
_FIRST_WINDOW = 2
_SLOW_S, _FAST_S = 0.4, 0.2
_LONGEST_CHAIN = 8


class OutboxClosedError(Exception):
    """Nothing more is sent."""


class Outbox(Generic[T]):
    """Holds the newest item under each key until it is sent; one that is replaced is skipped, and counted.

    All methods belong on the thread of the event loop.

    Args:
        window: How many items with a number may be on their way without an answer, fewer where answers are
            slow; None for any number.

    Attributes:
        sent: Number of items that were sent.
        skipped: Number of items that were replaced.
    """

    def __init__(self, window: int | None = None) -> None:
        self.sent = 0
        self.skipped = 0
        self._window = window
        # Nobody knows yet how fast the way is.
        self._limit = min(window or 0, _FIRST_WINDOW)
        self._waiting: dict[str, tuple[T, int | None]] = {}
        self._unanswered: deque[tuple[int, float]] = deque()  # number, and when it was sent
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, item: T, key: str = "", number: int | None = None) -> None:
        """Take in an item.

        Args:
            item: What to send.
            key: What it is news of.
            number: By which its arrival is answered; None where it is not.
        """
        # What is replaced goes to the end: nothing is kept from its turn by news of another kind.
        self.skipped += self._waiting.pop(key, None) is not None
        self._waiting[key] = (item, number)
        self._changed.set()

    async def get(self) -> T:
        """Wait for the next item to send.

        Raises:
            OutboxClosedError: Nothing more is sent.
        """
        while not self._closed:
            if self._waiting and not self._full:
                item, number = self._waiting.pop(next(iter(self._waiting)))
                self._expect_answer(number)
                self.sent += 1
                return item
            self._changed.clear()
            await self._changed.wait()
        raise OutboxClosedError

    def answered(self, number: int) -> None:
        """Everything up to a number has arrived."""
        while self._unanswered and self._unanswered[0][0] <= number:
            _, sent_at_s = self._unanswered.popleft()
            took_s = time.monotonic() - sent_at_s
            if took_s > _SLOW_S:
                self._limit = max(1, self._limit // 2)
            elif took_s < _FAST_S:
                self._limit = min(self._limit + 1, self._window or 0)
        self._changed.set()

    def close(self) -> None:
        """Send nothing more."""
        self._closed = True
        self._changed.set()

    def _expect_answer(self, number: int | None) -> None:
        if number is not None and self._window is not None:
            self._unanswered.append((number, time.monotonic()))

    @property
    def _full(self) -> bool:
        return self._window is not None and len(self._unanswered) >= self._limit


class VideoOutbox(Outbox[Picture]):
    """Holds a short chain of pictures, each of which needs those before it.

    Where the viewer is so slow that the chain gets too long, all is skipped up to the next picture that can
    be decoded alone; such a one is asked for once the viewer has answered all that was sent.

    Args:
        ask_for_key: Asks for a picture that can be decoded alone.
        window: As for `Outbox`.
    """

    def __init__(self, ask_for_key: Callable[[], None], window: int | None = None) -> None:
        super().__init__(window)
        self._ask_for_key = ask_for_key
        self._chain: deque[Picture] = deque()
        self._broken = True

    def put(self, item: Picture, key: str = "", number: int | None = None) -> None:
        """Take in a picture; as for `Outbox`."""
        if item.key:
            self.skipped += len(self._chain)
            self._chain.clear()
            self._broken = False
        elif not self._broken and len(self._chain) >= _LONGEST_CHAIN:
            self.skipped += len(self._chain)
            self._chain.clear()
            self._broken = True
        if self._broken:
            self.skipped += 1
            if not self._unanswered:
                self._ask_for_key()
            return
        self._chain.append(item)
        self._changed.set()

    def answered(self, number: int) -> None:
        """As for `Outbox`; frames may stand still, and then nothing else asks for what was skipped."""
        super().answered(number)
        if self._broken and not self._unanswered:
            self._ask_for_key()

    async def get(self) -> Picture:
        """As for `Outbox`."""
        while not self._closed:
            if self._chain and not self._full:
                picture = self._chain.popleft()
                self._expect_answer(picture.frame)
                self.sent += 1
                return picture
            self._changed.clear()
            await self._changed.wait()
        raise OutboxClosedError
