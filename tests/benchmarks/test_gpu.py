from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu import RESULTS, STEPS, main


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_step_runs_in_a_dry_run_on_a_cpu(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps = [step.name for step in STEPS if step.name != "tests"]
    code = main(["--out", str(tmp_path), "--device", "cpu", "--tiny", "--steps", *steps])
    results = json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))
    # The doctor has opinions of its own on the machine: it must run, whatever it finds.
    assert {name: result["outcome"] for name, result in results.items() if name != "doctor"} == dict.fromkeys(
        [name for name in steps if name != "doctor"], "done"
    )
    assert any("keypoints" in line for line in results["doctor"]["printed"])
    latency = results["latency"]["found"]
    assert latency["small 96x64, batch 1"]["p50_ms"] > 0
    assert latency["small 96x64, throughput, batch 2"]["frames_per_s"] > 0
    assert not [found for found in results["pipeline"]["found"].values() if "error" in found]
    assert latency["nano 96x64, batch 1"]["p50_ms"] > 0
    assert results["training"]["found"]["small batch 1"]["steps_per_s"] > 0
    assert results["training"]["found"]["nano taught"]["steps_per_s"] > 0
    assert code in (0, 1)


def test_a_step_that_fails_is_told_with_what_it_printed(tmp_path: Path) -> None:
    code = main(["--out", str(tmp_path), "--device", "cuda:63", "--tiny", "--steps", "kernels"])
    result = json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))["kernels"]
    assert code == 1
    assert result["outcome"] == "exit code 1"
    assert any("cuda:63" in line for line in result["printed"])
