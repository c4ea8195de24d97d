"""What `live` selects from, and how it follows the time that detections take, on a clock made up here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from realtime_kp.config import SuperPointConfig
from realtime_kp.features.rungs import Ladder, make_rungs

DEFAULTS = SuperPointConfig()
MODELS = ("base", "small", "nano")
VGA = (640, 480)


def test_what_live_selects_from() -> None:
    rungs = make_rungs(DEFAULTS, MODELS, (1280, 720), 1 / 25)
    names = ["base 640", "small 640", "nano 640", "nano 480", "nano 320"]
    assert [rung.name for rung in rungs] == names
    assert [rung.limit_s for rung in rungs] == [1 / 25, *[1 / 8] * 4]
    costs = [rung.pixels for rung in rungs]
    assert costs == sorted(costs, reverse=True)
    assert costs[2] == 640 * 360
    assert [rung.is_estimate for rung in rungs] == [True] * 2 + [False] * 3


def test_8_bits_come_before_a_smaller_input() -> None:
    rungs = make_rungs(DEFAULTS, MODELS, VGA, 1 / 25, 2.0)
    in_8_bits = ["small 640", "nano 640", "nano 480", "nano 320"]
    names = ["base 640", "small 640", *(f"{name} in int8" for name in in_8_bits)]
    assert [rung.name for rung in rungs] == names
    assert rungs[2].pixels == rungs[1].pixels / 2
    alone = make_rungs(DEFAULTS, ("small",), VGA, 1 / 25, 2.0)
    assert [rung.name for rung in alone][:2] == ["small 640", "small 640 in int8"]


def test_what_is_named_is_not_selected() -> None:
    named = replace(DEFAULTS, resize="512x384")
    names = [rung.name for rung in make_rungs(named, MODELS, VGA, 1 / 25)]
    assert names == ["base 512x384", "small 512x384", "nano 512x384"]
    assert [rung.config.resize for rung in make_rungs(DEFAULTS, ("small",), VGA, 1 / 25)] == [
        "640",
        "480",
        "320",
    ]


def settings_used(
    begin: str, interval_s: float, small_640_s: Callable[[float], float], for_s: float, base: float = 4.8
) -> list[tuple[float, str]]:
    """Times and names of the settings that come into use on a machine that the test makes up.

    Args:
        begin: The one in use at first.
        interval_s: Interval between frames of the source.
        small_640_s: How long a detection takes with the small model at full size, by time.
        for_s: How long to look.
        base: How many times as long the large model takes in truth.
    """
    rungs = make_rungs(DEFAULTS, MODELS, VGA, interval_s)
    ladder = Ladder(rungs, [rung.name for rung in rungs].index(begin))
    pixel = {rung.name: rung.pixels / rungs[1].pixels for rung in rungs} | {"base 640": base}
    now_s, used = 0.0, []
    while now_s < for_s:
        took_s = small_640_s(now_s) * pixel[ladder.rung.name]
        now_s += max(took_s, interval_s)
        other = ladder.add(took_s, now_s)
        if other is not None:
            ladder.move(other)
            used.append((now_s, other.name))
    return used


@pytest.mark.parametrize(
    ("begin", "fps", "took_s"), [("base 640", 5, 0.18), ("small 640", 5, 0.18), ("small 640", 1, 0.7)]
)
def test_what_keeps_up_with_a_slow_source_stays(begin: str, fps: float, took_s: float) -> None:
    small_s = took_s / (4.8 if begin.startswith("base") else 1)
    assert settings_used(begin, 1 / fps, lambda _: small_s, 3600) == []


def test_the_larger_model_goes_where_it_no_longer_keeps_up_and_returns_where_it_does() -> None:
    used = settings_used("base 640", 1 / 30, lambda now_s: 0.027 if now_s < 60 else 0.005, 200)
    assert [name for _, name in used] == ["small 640", "base 640"]
    assert used[0][0] < 5
    # Fast for twice ten seconds.
    assert 80 < used[1][0] < 85


def test_a_machine_that_is_busy_every_other_minute_is_followed_less_and_less() -> None:
    used = settings_used("small 640", 1 / 30, lambda now_s: 0.08 if now_s % 120 < 60 else 0.3, 3600)
    assert 4 <= len(used) <= 12
    assert {name for _, name in used} <= {"small 640", "nano 640", "nano 480"}


def test_a_model_that_is_slower_than_expected_is_tried_ever_more_rarely() -> None:
    used = settings_used("small 640", 1 / 30, lambda _: 0.004, 3600, base=12.0)
    tries_s = [at_s for at_s, name in used if name == "base 640"]
    assert 4 <= len(tries_s) <= 12
    gaps_s = [later - earlier for earlier, later in pairwise(tries_s)]
    assert all(later > 1.5 * earlier for earlier, later in pairwise(gaps_s[:5]))
