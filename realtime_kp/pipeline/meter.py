"""Measurements of a run, taken in the render loop."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline.statistics import RateMeter, RecentLatency, StageStatistics
from realtime_kp.timing import StageTimes


class RunMeter:
    """Completes the stage times of each frame and aggregates them.

    Attributes:
        stages: Latency percentiles per stage.
        rate: Frames per second.
        recent: End-to-end latency of the last frames.
        detections: Detections per second.
        keypoints: Number of keypoints of the newest detection; None before the first.
    """

    def __init__(self) -> None:
        self.stages = StageStatistics()
        self.rate = RateMeter()
        self.recent = RecentLatency()
        self.detections = RateMeter()
        self.keypoints: int | None = None
        self._ages: Counter[int] = Counter()
        self._started_s = time.perf_counter()
        self._first_frame_s: float | None = None
        self._keypoints_sum = 0
        self._detected = 0

    def done(self, tracked: TrackedFrame, *, draw_ms: float | None, output_ms: float | None) -> StageTimes:
        """Record a frame whose output has just finished.

        Args:
            tracked: The frame.
            draw_ms: Duration of drawing; None if nothing was drawn.
            output_ms: Duration of display and writing; None if there was neither.

        Returns:
            Its complete stage times.
        """
        now_s = time.perf_counter()
        end_to_end_ms = (now_s - tracked.frame.captured_at_s) * 1e3
        times = replace(tracked.times_ms, draw=draw_ms, output=output_ms, end_to_end=end_to_end_ms)
        self.stages.add(times)
        self.rate.tick(now_s)
        self.recent.add(end_to_end_ms)
        if self._first_frame_s is None:
            self._first_frame_s = now_s - self._started_s
        if tracked.found is not None:
            self.detections.tick(now_s)
            self.keypoints = len(tracked.found)
            self._keypoints_sum += self.keypoints
            self._detected += 1
        if tracked.detection_age is not None:
            self._ages[tracked.detection_age] += 1
        return times

    @property
    def mean_detection_age(self) -> float | None:
        """Mean age of the newest detection in frames, over all frames; None before the first detection."""
        total = self._ages.total()
        return sum(age * count for age, count in self._ages.items()) / total if total else None

    @property
    def wall_s(self) -> float:
        """Seconds since the start of the run."""
        return time.perf_counter() - self._started_s

    @property
    def time_to_first_frame_s(self) -> float | None:
        """Seconds from the start of the run to the first finished frame; None before it."""
        return self._first_frame_s

    @property
    def keypoints_per_frame(self) -> float:
        """Mean number of keypoints per detection; 0 before the first."""
        return self._keypoints_sum / self._detected if self._detected else 0.0
