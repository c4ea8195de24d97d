from __future__ import annotations

import pytest

from realtime_kp import ConfigError
from realtime_kp.bench.report.cost_plots import changed_alone
from realtime_kp.bench.sweep import parse_sweep, with_settings
from realtime_kp.config import AppConfig


def test_all_combinations_in_order() -> None:
    assert parse_sweep("model=base,small precision=bf16,int8") == [
        {"model": "base", "precision": "bf16"},
        {"model": "base", "precision": "int8"},
        {"model": "small", "precision": "bf16"},
        {"model": "small", "precision": "int8"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modl=base", "--sweep takes model,"),
        ("model", "has no values"),
        ("model=,", "has no values"),
        ("model=base model=small", "names model twice"),
        ("  ", "is empty"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_sweep(text)


def test_values_reach_their_fields_and_leave_the_others() -> None:
    config = with_settings(AppConfig(), {"keypoints": "256", "tracker": "descriptor", "resize": "320x240"})
    assert config.superpoint.max_keypoints == 256
    assert config.superpoint.resize == "320x240"
    assert config.tracking.kind == "descriptor"
    assert config.superpoint.model == AppConfig().superpoint.model


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keypoints": "many"}, "whole number"),
        ({"precision": "fp12"}, "precision"),
        ({"batch": "0"}, "batch must be"),
    ],
)
def test_impossible_values_are_said(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_settings(AppConfig(), settings)


def test_lines_of_a_plot_differ_in_one_axis() -> None:
    sweep = [
        {"settings": {"model": model, "resize": size}}
        for model in ("base", "small")
        for size in ("320", "640")
    ]
    lines = dict(changed_alone(sweep, "resize"))
    assert {name: [e["settings"]["resize"] for e in line] for name, line in lines.items()} == {
        "base": ["320", "640"],
        "small": ["320", "640"],
    }
    assert list(changed_alone(sweep, "keypoints")) == []
