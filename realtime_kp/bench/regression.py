"""Comparison of a benchmark with an earlier one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realtime_kp.errors import ConfigError

# Settings that must agree for the comparison to be meaningful.
_SETTING = ("source", "model", "device", "engine", "precision", "inference_size")
# Single short stages vary more than the whole: they are shown but not judged.
_JUDGED_STAGE = "end_to_end"
_JUDGED_PERCENTILES = ("p50", "p95")


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of both runs.

    Attributes:
        name: Such as `closed loop fps` or `open loop end_to_end p95`.
        before: Value in the baseline.
        now: Value in this run.
        slower: Relative deterioration, negative for an improvement.
        judged: Whether it is held against the tolerance.
    """

    name: str
    before: float
    now: float
    slower: float
    judged: bool


def read_baseline(path: Path) -> dict[str, Any]:
    """Read the summary of an earlier `bench`.

    Raises:
        ConfigError: The file does not exist, or is no such summary.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"--baseline {path} cannot be read: {exc}") from exc
    if not isinstance(values, dict) or values.get("command") != "bench" or "fps" not in values:
        raise ConfigError(f"--baseline {path} is no summary of bench: write one with --summary")
    return values


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Changes from one summary to another, in the loops that both have.

    Raises:
        ConfigError: They measured different things.
    """
    for name in _SETTING:
        if before.get(name) != now.get(name):
            raise ConfigError(f"the baseline's {name} is {before.get(name)}, not {now.get(name)}")
    settings = before.get("settings", {})
    for name, value in now.get("settings", {}).items():
        if settings.get(name, value) != value:
            raise ConfigError(f"the baseline's {name} is {settings[name]}, not {value}")
    changes = list(_loop_changes("closed loop", before, now))
    if "open_loop" in before and "open_loop" in now:
        first, second = before["open_loop"], now["open_loop"]
        if first["rate"] != second["rate"]:
            raise ConfigError(f"the baseline's rate is {first['rate']:g}, not {second['rate']:g}")
        changes += _loop_changes("open loop", first, second)
    return changes


def regressions(changes: list[Change], tolerance_percent: float) -> list[Change]:
    """Judged figures that deteriorated by more than the tolerance."""
    return [change for change in changes if change.judged and change.slower * 100 > tolerance_percent]


def _loop_changes(loop: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    # The frame rate of an open loop is the offered one.
    judged = loop == "closed loop"
    yield Change(f"{loop} fps", before["fps"], now["fps"], before["fps"] / now["fps"] - 1, judged)
    for stage, found in now["latency_ms"].items():
        earlier = before["latency_ms"].get(stage)
        if earlier is None:
            continue
        for percentile in _JUDGED_PERCENTILES:
            first, second = earlier[percentile], found[percentile]
            slower = second / first - 1 if first > 0 else 0.0
            yield Change(f"{loop} {stage} {percentile}", first, second, slower, stage == _JUDGED_STAGE)
