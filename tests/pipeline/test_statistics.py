from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.pipeline import Percentiles, RateMeter, RunMeter, StageStatistics
from realtime_kp.timing import StageTimes
from tests.conftest import make_frame


def test_percentiles_of_known_samples() -> None:
    found = Percentiles.of(range(101))
    assert found is not None
    assert (found.p50, found.p95, found.p99, found.max) == (50, 95, 99, 100)


def test_no_samples_no_percentiles() -> None:
    assert Percentiles.of([]) is None


def test_stages_that_never_ran_are_left_out() -> None:
    statistics = StageStatistics()
    statistics.add(StageTimes(grab=1.0, network=5.0))
    statistics.add(StageTimes(grab=3.0))
    assert list(statistics.percentiles()) == ["grab", "network"]
    assert statistics.percentiles()["grab"].p50 == 2.0


def test_rate_is_intervals_over_time() -> None:
    meter = RateMeter()
    for i in range(11):
        meter.tick(100 + i * 0.1)
    assert meter.overall == pytest.approx(10)
    assert meter.recent(101.0) == pytest.approx(10)
    assert meter.recent(110.0) == 0


def test_the_recent_rate_forgets() -> None:
    meter = RateMeter(window_s=1.0)
    for at_s in [*np.arange(0, 5, 1.0), *np.arange(5, 6.01, 0.1)]:
        meter.tick(float(at_s))
    assert meter.recent(6.0) == pytest.approx(10, rel=0.1)
    assert meter.overall < 3


def test_one_frame_has_no_rate() -> None:
    meter = RateMeter()
    assert meter.overall == meter.recent(1.0) == 0
    meter.tick(1)
    assert meter.overall == meter.recent(1.0) == 0


def test_a_meter_completes_the_stage_times() -> None:
    meter = RunMeter()
    frame = make_frame()
    times = meter.done(
        TrackedFrame(frame, None, Tracks.empty(), StageTimes(grab=1.0)), draw_ms=2.0, output_ms=None
    )
    assert (times.grab, times.draw, times.output) == (1.0, 2.0, None)
    assert times.end_to_end is not None
    assert 0 < times.end_to_end < 1000
    assert meter.time_to_first_frame_s is not None
    assert meter.keypoints_per_frame == 0
