"""`bench --ray`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from realtime_kp.cli import main
from realtime_kp.sources.demo import DemoSpec
from tests.conftest import write_clip

pytest.importorskip("ray", reason="needs pip install ray")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # those of Ray itself
def test_throughput_against_workers_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = DemoSpec.parse("demo?size=96x64").scene()
    clip = write_clip(tmp_path / "clip.mp4", [scene.render(index) for index in range(20)])
    summary = tmp_path / "s.json"
    words = ["--frames", "5", "--model", "small", "--resize", "64", "--summary", str(summary)]
    assert main(["bench", str(clip), "--ray", *words]) == 0
    rates = json.loads(summary.read_text())["fleet"]
    assert [rate["workers"] for rate in rates][:1] == [1]
    assert all(rate["fps"] > 1 and rate["start_s"] > 0 for rate in rates)
    assert "overhead a video" in capsys.readouterr().out
