from __future__ import annotations

from dataclasses import replace

import pytest

from realtime_kp.bench.latency import measure
from realtime_kp.config import AppConfig, BenchConfig, SuperPointConfig

CONFIG = AppConfig(SuperPointConfig(model="small", resize="160"), bench=BenchConfig(frames=4, warmup=3))


@pytest.mark.parametrize("rate", [None, 30.0])
def test_stopped_during_the_warm_up_it_has_nothing_to_tell(rate: float | None) -> None:
    assert measure("demo", CONFIG, rate=rate, stopped=lambda: True) is None


def test_as_many_frames_as_asked_for_are_measured() -> None:
    config = replace(CONFIG, bench=BenchConfig(frames=6, warmup=2))
    found = measure("demo", config)
    assert found is not None
    assert found.frames == 6
    assert found.dropped == 0
