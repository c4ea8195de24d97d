"""Advice on the cost of detections, on a clock that the tests make up."""

from __future__ import annotations

from realtime_kp.features.pace import Advice, Pace


def advice(took_s: list[float], dearer_share: float | None, interval_s: float = 0.2) -> list[Advice]:
    pace = Pace()
    return [pace.add(took, number * interval_s, dearer_share) for number, took in enumerate(took_s)]


def test_slow_for_seconds_means_cheaper() -> None:
    found = advice([0.3] * 20, 1.8)
    assert found.index(Advice.CHEAPER) == 15
    assert Advice.DEARER not in found


def test_a_passing_load_changes_nothing() -> None:
    assert set(advice([0.05] * 20 + [0.4] * 8 + [0.05] * 20, None)) == {Advice.KEEP}


def test_fast_for_long_means_dearer_where_that_would_be_fast_enough() -> None:
    assert advice([0.03] * 60, 1.8).index(Advice.DEARER) == 50
    assert set(advice([0.06] * 60, 1.8)) == {Advice.KEEP}
    assert set(advice([0.03] * 60, None)) == {Advice.KEEP}


def test_single_slow_detections_do_not_make_the_wait_begin_again() -> None:
    jitter = [0.03] * 20 + [0.09] + [0.03] * 40
    assert Advice.DEARER in advice(jitter, 2.25)[:58]
    assert Advice.DEARER not in advice([0.03] * 20 + [0.25] * 4 + [0.03] * 40, 2.25)[:58]


def test_what_was_given_up_must_be_fast_for_longer() -> None:
    pace = Pace(fast_for_s=20.0)
    found = [pace.add(0.03, number * 0.2, 1.8) for number in range(110)]
    assert found.index(Advice.DEARER) == 100


def test_a_pause_tells_nothing() -> None:
    slow, fast = Pace(), Pace()
    for done_s in (0.0, 60.0, 120.0):
        assert slow.add(0.3, done_s, 1.8) is Advice.KEEP
        assert fast.add(0.03, done_s, 1.8) is Advice.KEEP


def test_rare_detections_are_judged_by_their_number() -> None:
    pace = Pace()
    found = [pace.add(0.3, 10.0 * number, None) for number in range(5)]
    assert found == [Advice.KEEP] * 3 + [Advice.CHEAPER] * 2
