"""What a render loop measures of its run."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline.statistics import RateMeter, RecentLatency, StageStatistics
from realtime_kp.timing import StageTimes


class RunMeter:
    """Completes the stage times of each frame and collects them.

    Attributes:
        stages: Percentiles by stage.
        rate: Frames a second.
        recent: Latency over the last frames.
        detections: Detections a second.
        keypoints: Of the newest detection; None before the first.
    """

    def __init__(self) -> None:
        self.stages = StageStatistics()
        self.rate = RateMeter()
        self.recent = RecentLatency()
        self.detections = RateMeter()
        self.keypoints: int | None = None
        self._ages: Counter[int] = Counter()
        self._started_s = time.perf_counter()
        self._first_after_s: float | None = None
        self._keypoints = 0
        self._detected = 0

    def done(self, tracked: TrackedFrame, *, draw_ms: float | None, output_ms: float | None) -> StageTimes:
        """Count a frame whose output is finished now.

        Args:
            tracked: The frame.
            draw_ms: What drawing took; None where nothing was drawn.
            output_ms: What showing and writing took; None where nothing was.

        Returns:
            Its complete stage times.
        """
        now_s = time.perf_counter()
        end_to_end_ms = (now_s - tracked.frame.captured_at_s) * 1e3
        times = replace(tracked.times_ms, draw=draw_ms, output=output_ms, end_to_end=end_to_end_ms)
        self.stages.add(times)
        self.rate.tick(now_s)
        self.recent.add(end_to_end_ms)
        if self._first_after_s is None:
            self._first_after_s = now_s - self._started_s
        if tracked.found is not None:
            self.detections.tick(now_s)
            self.keypoints = len(tracked.found)
            self._keypoints += self.keypoints
            self._detected += 1
        if tracked.detection_age is not None:
            self._ages[tracked.detection_age] += 1
        return times

    @property
    def mean_detection_age(self) -> float | None:
        """Mean over all frames of how many frames old the newest detection was; None before the first."""
        total = self._ages.total()
        return sum(age * count for age, count in self._ages.items()) / total if total else None

    @property
    def wall_s(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._started_s

    @property
    def time_to_first_frame_s(self) -> float | None:
        """Seconds from the beginning to the first finished frame."""
        return self._first_after_s

    @property
    def keypoints_per_frame(self) -> float:
        """Mean over the frames that the network looked at."""
        return self._keypoints / self._detected if self._detected else 0.0
