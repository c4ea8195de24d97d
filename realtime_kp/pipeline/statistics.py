"""Latency percentiles and frame rates, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from realtime_kp.timing import STAGES, StageTimes

MAX_SAMPLES = 100_000


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Latency percentiles of one stage, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, samples_ms: Iterable[float]) -> Percentiles | None:
        """Compute percentiles with linear interpolation between ranks; None without samples."""
        values = np.fromiter(samples_ms, np.float64)
        if len(values) == 0:
            return None
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        return cls(float(p50), float(p95), float(p99), float(values.max()))

    def to_dict(self) -> dict[str, float]:
        """Return the percentiles by name, in milliseconds, rounded to the microsecond."""
        return {f.name: round(getattr(self, f.name), 3) for f in fields(self)}


class StageStatistics:
    """Stage times of a run: percentiles over the last 100,000 frames, maximum over all frames."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[float]] = {stage: deque(maxlen=MAX_SAMPLES) for stage in STAGES}
        self._largest: dict[str, float] = {}

    def add(self, times_ms: StageTimes) -> None:
        """Count one frame."""
        for stage in STAGES:
            value = getattr(times_ms, stage)
            if value is not None:
                self._samples[stage].append(value)
                self._largest[stage] = max(value, self._largest.get(stage, value))

    def percentiles(self) -> dict[str, Percentiles]:
        """Return percentiles by stage, in pipeline order; stages that never ran are left out."""
        result = {}
        for stage, samples in self._samples.items():
            found = Percentiles.of(samples)
            if found is not None:
                result[stage] = Percentiles(found.p50, found.p95, found.p99, self._largest[stage])
        return result


class RateMeter:
    """Frames per second, `(n - 1) / (last - first)`, over the whole run or a recent window.

    Args:
        window_s: Length of the recent window in seconds.
    """

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._recent: deque[float] = deque()
        self._first_s: float | None = None
        self._last_s = 0.0
        self._count = 0

    def tick(self, at_s: float) -> None:
        """Count a frame finished at `at_s`, in seconds."""
        self._first_s = at_s if self._first_s is None else self._first_s
        self._last_s = at_s
        self._count += 1
        self._recent.append(at_s)
        while self._recent[0] < at_s - self._window_s:
            self._recent.popleft()

    @property
    def overall(self) -> float:
        """Frames per second over the whole run; 0 before the second frame."""
        if self._first_s is None or self._last_s <= self._first_s:
            return 0.0
        return (self._count - 1) / (self._last_s - self._first_s)

    def recent(self, now_s: float) -> float:
        """Return the frames per second over the window before `now_s`; 0 with fewer than two frames in it."""
        lately = [at_s for at_s in self._recent if at_s >= now_s - self._window_s]
        span_s = lately[-1] - lately[0] if lately else 0.0
        return (len(lately) - 1) / span_s if span_s > 0 else 0.0


class RecentLatency:
    """Latency percentiles over the last few frames, for the head-up display and the log line."""

    def __init__(self, frames: int = 120) -> None:
        self._samples: deque[float] = deque(maxlen=frames)

    def add(self, latency_ms: float) -> None:
        """Count one frame."""
        self._samples.append(latency_ms)

    def percentiles(self) -> Percentiles | None:
        """Return the percentiles; None before the first frame."""
        return Percentiles.of(self._samples)
