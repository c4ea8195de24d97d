from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from realtime_kp.bench.report.page import report_page
from realtime_kp.bench.trace import FrameRecord
from realtime_kp.cli import main
from realtime_kp.timing import StageStarts, StageTimes


def records(count: int) -> list[FrameRecord]:
    return [
        FrameRecord(
            i,
            i,
            StageTimes(grab=1, resize=1, network=20 + i % 7, keypoints=3, track=5, draw=2, end_to_end=40 + i),
            StageStarts(grab=0.05 * i, detect=0.05 * i + 0.01, track=0.05 * i + 0.04),
            0.05 * i + 0.05,
        )
        for i in range(count)
    ]


def values(source: str = "demo") -> dict[str, Any]:
    latency = {"end_to_end": {"p50": 41.2, "p95": 57.0, "p99": 59.0, "max": 61.0}}
    loop = {"fps": 20.0, "detections_per_s": 12.5, "jitter_ms": 1.5, "latency_ms": latency}
    loop |= {"measured_frames": 87, "measured_dropped": 3}
    return {
        **loop,
        "source": source,
        "model": "small",
        "device": "cpu",
        "engine": "openvino",
        "precision": "bf16",
        "inference_size": [640, 480],
        "keypoints_per_frame": 900.0,
        "open_loop": {"rate": 30.0, **loop},
        "compare": {"transformers_fps": 1.5, "ratio": 13.3},
        "machine": {"cpu": "A processor", "versions": {"torch": "2.0"}},
    }


def test_the_page_holds_plots_figures_and_the_machine_and_needs_no_network() -> None:
    page = report_page(values(), {"closed loop": records(60), "open loop": records(40)})
    for text in (
        "20.0 frames a second",
        "open loop, 30 frames a second due",
        "3 of 90",
        "12.5",
        "13.3",
        "A processor",
    ):
        assert text in page
    # Latency, timeline, stages, side by side, tracks, along the clip.
    assert page.count("Plotly.newPlot") == 6
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)


def test_a_sweep_and_the_pieces_have_plots_of_their_own() -> None:
    def entry(size: list[int], keypoints: str) -> dict[str, Any]:
        settings = {"resize": str(size[0]), "keypoints": keypoints}
        return {
            "settings": settings,
            "fps": 9.0,
            "keypoints_per_frame": int(keypoints) * 0.9,
            "inference_size": size,
            "core_ms": 50.0,
        }

    found = values()
    found["sweep"] = [entry(size, k) for size in ([320, 240], [640, 480]) for k in ("256", "512")]
    found["pieces"] = {stage: {"p50_ms": 1.0, "core_ms": 2.0} for stage in ("network", "track")}
    page = report_page(found, {"closed loop": records(60)})
    for title in ("Cost against pixels", "Cost against keypoints", "Each stage by itself", "Side by side"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("Plotly.newPlot") == 9
    assert "Cost against" not in report_page(values(), {"closed loop": records(60)})


def test_names_of_sources_cannot_become_markup() -> None:
    page = report_page(values("<b>clip</b>.mp4"), {"closed loop": records(5)})
    assert "<b>clip" not in page
    assert "&lt;b&gt;clip" in page


def test_without_plotly_it_says_how_to_get_it_before_it_measures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.io", None)
    page = str(tmp_path / "report.html")
    # So many frames would take hours.
    assert main(["bench", "demo", "--frames", "1000000", "--report", page]) == 2
    assert "realtime-kp[report]" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["bench", "demo", "--model", "small", "--resize", "320", "--frames", "10", "--warmup", "3"]
    assert main([*command, "--report", "report.html", "-q"]) == 0
    page = Path("report.html").read_text()
    assert "network of frame" in page
    assert main([*command, "--report", "report.html", "-q"]) == 5
