"""How much a viewer may ask for."""

from __future__ import annotations

import time
from collections import OrderedDict

MAX_CONNECTIONS = 128
MAX_VIEWERS = 32
CONTROL_BYTES = 4096
CAMERA_BYTES = 4 << 20
# Seconds within which a connection has to send its first request.
SILENT_S = 10.0


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
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class FailedAttempts:
    """Counts wrong tokens of each address, for a bounded number of addresses.

    Args:
        most: So many in a row, then one every ten seconds.
    """

    _ADDRESSES = 1024

    def __init__(self, most: int = 10) -> None:
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def allow(self, address: str) -> bool:
        """Whether one more attempt of an address is looked at."""
        bucket = self._buckets.pop(address, None) or TokenBucket(0.1, self._most)
        self._buckets[address] = bucket
        if len(self._buckets) > self._ADDRESSES:
            self._buckets.popitem(last=False)
        return bucket.take()
