"""Whether detections come often enough, judged over seconds, so that a passing load changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LEAST_PER_S = 8.0
_FAST_FOR_S = 10.0
_GAIN = 0.3
_TOO_SLOW, _FAST = 1.15, 0.6
_SLOW_FOR_S = 3.0


class Advice(Enum):
    """What to do about the cost of a detection."""

    KEEP = 0
    CHEAPER = 1
    DEARER = 2


@dataclass(slots=True)
class Pace:
    """Judges how long detections take.

    Attributes:
        limit_s: How long one may take.
        fast_for_s: How long the next dearer setting must have been fast enough before it is advised.
        mean_s: Running mean of the time of a detection; None before the first.
        slow_since_s: Since when they take too long; None while they do not.
        fast_since_s: Since when the next dearer setting would be fast enough; None while it would not.
    """

    limit_s: float = 1 / LEAST_PER_S
    fast_for_s: float = _FAST_FOR_S
    mean_s: float | None = None
    slow_since_s: float | None = None
    fast_since_s: float | None = None

    def add(self, took_s: float, now_s: float, dearer: float | None) -> Advice:
        """Add a detection.

        Args:
            took_s: How long it took.
            now_s: When it was done, on any clock.
            dearer: How many times as much the next dearer setting costs; None where there is none.
        """
        self.mean_s = took_s if self.mean_s is None else self.mean_s + _GAIN * (took_s - self.mean_s)
        slow = self.mean_s > _TOO_SLOW * self.limit_s
        fast = dearer is not None and self.mean_s * dearer < _FAST * self.limit_s
        self.slow_since_s = (now_s if self.slow_since_s is None else self.slow_since_s) if slow else None
        self.fast_since_s = (now_s if self.fast_since_s is None else self.fast_since_s) if fast else None
        if self.slow_since_s is not None and now_s - self.slow_since_s >= _SLOW_FOR_S:
            return Advice.CHEAPER
        if self.fast_since_s is not None and now_s - self.fast_since_s >= self.fast_for_s:
            return Advice.DEARER
        return Advice.KEEP
