from __future__ import annotations

from pathlib import Path

from realtime_kp.apps.fleet.ledger import Ledger, VideoResult
from realtime_kp.apps.jobs import Job
from realtime_kp.config import AppConfig


def jobs(*names: str) -> list[Job]:
    return [Job(name, AppConfig(), Path(f"{name}_tracks.mp4"), False) for name in names]


def test_every_video_is_begun_in_order_and_has_a_result() -> None:
    ledger = Ledger(jobs("a", "b"), attempts=3)
    first, second = ledger.next(), ledger.next()
    assert (first.source, second.source, ledger.waiting) == ("a", "b", 0)
    assert not first.config.video.resume
    ledger.finish(VideoResult("b", "done", 10))
    assert ledger.open
    ledger.finish(VideoResult("a", "damaged", 5, error="cut short"))
    assert not ledger.open
    assert [(r.source, r.outcome, r.attempts) for r in ledger.results()] == [
        ("a", "damaged", 1),
        ("b", "done", 1),
    ]
    assert (ledger.finished, ledger.frames) == (2, 15)


def test_a_video_whose_worker_dies_goes_on_elsewhere_behind_the_others() -> None:
    ledger = Ledger(jobs("a", "b"), attempts=3)
    job = ledger.next()
    assert ledger.crash(job, "node", "killed")
    assert ledger.next().source == "b"
    again = ledger.next()
    assert again.source == "a"
    assert again.config.video.resume
    ledger.finish(VideoResult("a", "done"))
    assert ledger.results()[0].attempts == 2


def test_after_so_many_deaths_it_has_failed() -> None:
    ledger = Ledger(jobs("a"), attempts=2)
    assert ledger.crash(ledger.next(), "node", "killed")
    assert not ledger.crash(ledger.next(), "node", "killed again")
    (result,) = ledger.results()
    assert (result.outcome, result.attempts, result.node) == ("failed", 2, "node")
    assert "killed again" in result.error
    assert not ledger.open


def test_what_was_never_begun_waits() -> None:
    ledger = Ledger(jobs("a", "b"), attempts=1)
    ledger.next()
    ledger.finish(VideoResult("a", "stopped", 3))
    assert [result.outcome for result in ledger.results()] == ["stopped", "waiting"]
    assert ledger.results()[1].to_dict()["input"] == "b"
