from __future__ import annotations

import json
from pathlib import Path

import pytest

from realtime_kp.bench.serving import measure_serving
from realtime_kp.cli import main
from realtime_kp.config import AppConfig, BenchConfig, SuperPointConfig

SMALL = SuperPointConfig(model="small", resize="160", max_keypoints=100)


@pytest.mark.slow
def test_what_one_viewer_takes_is_measured() -> None:
    config = AppConfig(superpoint=SMALL, bench=BenchConfig(frames=40, warmup=20))
    done: list[int] = []
    result = measure_serving("demo?size=320x240", config, progress=lambda: done.append(1))
    assert result is not None
    assert len(done) == 60
    assert result.frames == 40
    # A machine that is busy may skip some.
    assert 5 <= result.sent <= 60
    assert 0 < result.encoder_share < 2
    assert 0 < result.other_share < 2
    assert result.kbit_per_s > 50
    assert result.run_ms is not None
    assert result.arrival_ms is not None
    assert 0 < result.run_ms.p50 < result.arrival_ms.max


def test_stopped_during_the_warm_up_there_is_no_result() -> None:
    config = AppConfig(superpoint=SMALL, bench=BenchConfig(frames=40, warmup=20))
    assert measure_serving("demo?size=320x240", config, stopped=lambda: True) is None


@pytest.mark.slow
def test_bench_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = tmp_path / "s.json"
    words = ["--frames", "10", "--model", "small", "--resize", "160", "--summary", str(summary)]
    assert main(["bench", "demo?size=320x240", "--serve", *words]) == 0
    found = json.loads(summary.read_text())["serving"]
    assert found["frames"] == 10
    assert found["encoder_core_percent"] > 0
    assert found["other_core_percent"] > 0
    assert "of a core, all else" in " ".join(capsys.readouterr().out.split())
