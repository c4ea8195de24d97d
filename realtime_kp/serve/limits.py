"""How much a viewer may ask for."""

from __future__ import annotations

import time
from collections import OrderedDict

MAX_CONNECTIONS = 128
# Of pictures, tracks and control; a page has one of each.
MAX_STREAMS = 96
CONTROL_BYTES = 4096
# Of one connection.
REQUESTS_PER_S, REQUESTS_AT_ONCE = 20.0, 100.0
CAMERA_BYTES = 4 << 20
# Seconds within which a connection has to send its first request.
SILENT_S = 10.0
# Milliseconds after which the system ends a connection whose other side takes nothing.
UNTAKEN_MS = 20_000


class TokenBucket:
    """Lets through so many events a second on average, and a burst of some more.

    Args:
        rate: Events per second.
        burst: Most events at once.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at_s = time.monotonic()

    def take(self) -> bool:
        """Whether one more event may pass."""
        if self.empty:
            return False
        self._left -= 1
        return True

    @property
    def empty(self) -> bool:
        """Whether no event may pass now."""
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        return self._left < 1


class FailedAttempts:
    """Counts wrong secrets of each address, for a bounded number of addresses.

    Who has guessed too often is not listened to for a while, right or wrong: else a guess would cost nothing.

    Args:
        most: So many at once, then one every five seconds.
    """

    _ADDRESSES = 1024

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def blocked(self, address: str) -> bool:
        """Whether an address has guessed too often."""
        bucket = self._buckets.get(address)
        return bucket is not None and bucket.empty

    def count(self, address: str) -> None:
        """Take in a wrong secret."""
        bucket = self._buckets.pop(address, None) or TokenBucket(0.2, self._most)
        self._buckets[address] = bucket
        if len(self._buckets) > self._ADDRESSES:
            self._buckets.popitem(last=False)
        bucket.take()
