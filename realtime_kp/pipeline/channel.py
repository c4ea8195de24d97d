"""A bounded queue between two threads that can be closed from either side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Policy = Literal["block", "drop_oldest"]


class ChannelClosedError(Exception):
    """The channel is closed: nothing more can be put, or nothing is left to get."""


class Channel(Generic[T]):
    """At most `capacity` items wait in it.

    With the policy `block` a put waits for room: nothing is lost. With `drop_oldest` a put never waits: the
    oldest item goes, and is counted. Closing wakes everybody who waits.

    Args:
        capacity: How many items may wait.
        policy: What a put does when it is full.

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
        """Items that `drop_oldest` threw away."""
        with self._changed:
            return self._dropped

    def put(self, item: T) -> None:
        """Hand an item over.

        Raises:
            ChannelClosedError: The channel is closed, or was closed while waiting for room.
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
        """Take the oldest item; what waited when the channel was closed can still be taken.

        Args:
            timeout_s: How long to wait for one; None waits until there is one or the channel is closed.

        Returns:
            The item, or None when the time is over.

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
        """Items as they come, until the channel is closed and empty."""
        while True:
            try:
                item = self.get()
            except ChannelClosedError:
                return
            assert item is not None  # get() gives None only when a time runs out
            yield item

    def close(self, *, discard: bool = False) -> None:
        """Let nothing more in and wake everybody who waits.

        Args:
            discard: Also throw away what waits.
        """
        with self._changed:
            self._closed = True
            if discard:
                self._items.clear()
            self._changed.notify_all()
