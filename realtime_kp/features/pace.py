"""Whether detections come often enough, judged over seconds, so that a passing load changes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

LEAST_PER_S = 8.0
_FAST_FOR_S = 10.0
_GAIN = 0.3
_TOO_SLOW, _FAST = 1.15, 0.8
_SLOW_FOR_S = 3.0
# A pause, as of a lost camera, tells nothing: between two detections no more than this is counted.
_LONGEST_STEP_S = 1.0


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
        done_s: When the last one was done; None before the first.
        slow_s: For how long they have taken too long.
        fast_s: For how long the next dearer setting would have been fast enough, with some margin, since it
            would last have been too slow.
    """

    limit_s: float = 1 / LEAST_PER_S
    fast_for_s: float = _FAST_FOR_S
    mean_s: float | None = None
    done_s: float | None = None
    slow_s: float = 0.0
    fast_s: float = 0.0

    def add(self, took_s: float, done_s: float, dearer_share: float | None) -> Advice:
        """Add a detection.

        Args:
            took_s: How long it took.
            done_s: When it was done, on any clock.
            dearer_share: Share of its own limit that the next dearer setting takes, over the share that this
                one takes; None where there is none.
        """
        step_s = 0.0 if self.done_s is None else min(done_s - self.done_s, _LONGEST_STEP_S)
        self.done_s = done_s
        self.mean_s = took_s if self.mean_s is None else self.mean_s + _GAIN * (took_s - self.mean_s)
        share = self.mean_s / self.limit_s
        self.slow_s = self.slow_s + step_s if share > _TOO_SLOW else 0.0
        dearer = math.inf if dearer_share is None else share * dearer_share
        if dearer < _FAST:
            self.fast_s += step_s
        elif dearer >= 1:
            self.fast_s = 0.0
        if self.slow_s >= _SLOW_FOR_S:
            return Advice.CHEAPER
        return Advice.DEARER if self.fast_s >= self.fast_for_s else Advice.KEEP
