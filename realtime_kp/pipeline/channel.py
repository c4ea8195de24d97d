"""A bounded queue between two threads that can be closed from either side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Policy = Literal["block", "drop_oldest"]


class ChannelClosedError(Exception):
    """The channel is closed: `put` is not possible, or `get` found it empty."""


class Channel(Generic[T]):
    """Bounded first-in, first-out queue.

    With the policy `block`, `put` waits for free space (back-pressure) and no item is lost. With
    `drop_oldest`, `put` never waits: on a full queue it drops the oldest item and counts it. Closing wakes
    all waiting threads.

    Args:
        capacity: Maximum number of waiting items.
        policy: Behaviour of `put` on a full queue.

    Raises:
        ValueError: The capacity is below 1.
    """

    def __init__(self, capacity: int, policy: Policy = "block") -> None:
        if capacity < 1:
            raise ValueError(f"a channel holds at least 1 item, got capacity {capacity}")
        self.capacity = capacity
        self.policy = policy
        self._items: deque[T] = deque()
        self._closed = False
        self._dropped = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return len(self._items)

    @property
    def dropped(self) -> int:
        """Number of items dropped by the policy `drop_oldest`."""
        with self._changed:
            return self._dropped

    def put(self, item: T) -> None:
        """Append an item.

        Raises:
            ChannelClosedError: The channel is closed, or was closed while waiting for space.
        """
        with self._changed:
            while not self._closed and self.policy == "block" and len(self._items) >= self.capacity:
                self._changed.wait()
            if self._closed:
                raise ChannelClosedError
            if len(self._items) >= self.capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> T | None:
        """Remove and return the oldest item; items left in a closed channel can still be taken.

        Args:
            timeout_s: Maximum waiting time in seconds; None waits until an item arrives or the channel
                is closed.

        Returns:
            The item, or None after a timeout.

        Raises:
            ChannelClosedError: The channel is closed and empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._closed:
                raise ChannelClosedError
            return None

    def __iter__(self) -> Iterator[T]:
        """Yield items as they arrive, until the channel is closed and empty."""
        while True:
            try:
                item = self.get()
            except ChannelClosedError:
                return
            assert item is not None  # get() returns None only after a timeout
            yield item

    def close(self, *, discard: bool = False) -> None:
        """Reject further items and wake all waiting threads.

        Args:
            discard: Also remove the waiting items.
        """
        with self._changed:
            self._closed = True
            if discard:
                self._items.clear()
            self._changed.notify_all()
