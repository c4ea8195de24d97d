"""Two runs with the same outputs: the first owns them, the second is refused."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.apps.command import Command
from tests.apps.test_signals import OUTPUTS, check_whole

pytestmark = pytest.mark.slow

LONG = ("demo?frames=5000", "--resize", "160", "-q", "--overwrite")


@pytest.mark.parametrize(
    ("second", "named"),
    [
        (("video", *LONG, "-o", "out.mp4"), "out.mp4"),
        (("video", *LONG, "-o", "other.mp4", "--tracks", "t.csv"), "t.csv"),
        (("video", *LONG, "-o", "out.mp4", "--resume"), "out.mp4"),
        (("live", *LONG, "--no-window", "--record", "out.mp4"), "out.mp4"),
    ],
)
def test_the_second_run_is_refused_with_the_first_ones_process(
    tmp_path: Path, second: tuple[str, ...], named: str
) -> None:
    with Command(tmp_path, "video", *LONG, *OUTPUTS) as first:
        first.wait_for(3)
        with Command(tmp_path, *second) as other:
            code, errors = other.ended(60)
        assert code == 5
        assert errors.strip().endswith(
            f"{tmp_path / named} is being written by process {first.pid}: "
            "wait until it ends, or choose another name"
        )
        first.wait_for(first.logged + 3)
        first.send(signal.SIGINT)
        assert first.ended(30) == (130, "")
    check_whole(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_after_a_killed_run_the_outputs_are_free(tmp_path: Path) -> None:
    with Command(tmp_path, "video", *LONG, *OUTPUTS) as first:
        first.wait_for(3)
        first.send(signal.SIGKILL)
        first.ended(30)
    assert list(tmp_path.glob(".*.lock"))
    with Command(tmp_path, "video", *LONG, "--max-frames", "5", *OUTPUTS) as second:
        assert second.ended(60) == (0, "")
    assert json.loads((tmp_path / "s.json").read_text())["frames"]["written"] == 5
    assert not list(tmp_path.glob(".*"))
