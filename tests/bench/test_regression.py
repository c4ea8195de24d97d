from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from realtime_kp.bench.regression import compare, read_baseline, regressions
from realtime_kp.cli import main
from realtime_kp.errors import ConfigError


def summary(**changes: Any) -> dict[str, Any]:
    def stages(factor: float) -> dict[str, Any]:
        return {
            "network": {"p50": 50.0 * factor, "p95": 60.0 * factor},
            "end_to_end": {"p50": 90.0 * factor, "p95": 120.0 * factor},
        }

    values: dict[str, Any] = {
        "command": "bench",
        "source": "demo",
        "model": "small",
        "device": "cpu",
        "engine": "openvino",
        "precision": "bf16",
        "inference_size": [640, 480],
        "fps": 20.0,
        "latency_ms": stages(1),
        "open_loop": {"rate": 30.0, "fps": 19.0, "latency_ms": stages(1.2)},
    }
    return {**values, **changes}


def test_nothing_changed() -> None:
    changes = compare(summary(), summary())
    assert {change.slower for change in changes} == {0}
    assert regressions(changes, 0) == []
    assert len([change for change in changes if change.judged]) == 5


def test_fewer_frames_a_second_are_slower() -> None:
    changes = {change.name: change for change in compare(summary(), summary(fps=16.0))}
    assert changes["closed loop fps"].slower == pytest.approx(0.25)
    assert [c.name for c in regressions(list(changes.values()), 24)] == ["closed loop fps"]
    assert regressions(list(changes.values()), 26) == []


def test_a_later_tail_is_slower_and_a_single_stage_is_not_judged() -> None:
    now = deepcopy(summary())
    now["open_loop"]["latency_ms"]["end_to_end"]["p95"] *= 1.5
    now["latency_ms"]["network"]["p50"] *= 2
    changes = compare(summary(), now)
    assert [c.name for c in regressions(changes, 10)] == ["open loop end_to_end p95"]
    assert max(changes, key=lambda c: c.slower).name == "closed loop network p50"


@pytest.mark.parametrize(
    "other",
    [
        {"model": "base"},
        {"inference_size": [320, 240]},
        {"open_loop": {**summary()["open_loop"], "rate": 60.0}},
    ],
)
def test_other_measurements_are_no_baseline(other: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="the baseline's"):
        compare(summary(**other), summary())


@pytest.mark.parametrize("text", ["{", "[]", '{"command": "video", "fps": 3}'])
def test_what_is_no_summary_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(ConfigError, match=r"--baseline .*old\.json"):
        read_baseline(tmp_path / "old.json")


@pytest.mark.slow
def test_the_command_exits_with_7_where_it_got_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["bench", "demo", "--model", "small", "--resize", "320", "--frames", "10", "--warmup", "3"]
    assert main([*command, "--summary", "old.json"]) == 0
    old = json.loads(Path("old.json").read_text())
    Path("fast.json").write_text(json.dumps({**old, "fps": 10 * old["fps"]}))
    capsys.readouterr()
    assert main([*command, "--baseline", "fast.json", "--tolerance", "50"]) == 7
    assert "closed loop fps" in capsys.readouterr().out
    slow = {**old, "fps": old["fps"] / 10, "latency_ms": {}}
    Path("slow.json").write_text(json.dumps(slow))
    assert main([*command, "--baseline", "slow.json", "--tolerance", "50"]) == 0
    Path("other.json").write_text(json.dumps({**old, "model": "base"}))
    assert main([*command, "--baseline", "other.json"]) == 2
    assert "the baseline's model" in capsys.readouterr().err


def test_other_work_a_frame_is_no_baseline() -> None:
    before = summary(settings={"tracker": "hybrid", "encode": True})
    with pytest.raises(ConfigError, match="the baseline's encode is True, not False"):
        compare(before, summary(settings={"tracker": "hybrid", "encode": False}))
    assert compare(before, summary(settings={"tracker": "hybrid", "encode": True, "batch": 1}))
