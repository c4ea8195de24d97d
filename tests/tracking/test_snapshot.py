from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from realtime_kp import Tracker
from realtime_kp.tracking import restore_tracker, save_tracker
from tests.tracking.world import ORIGIN, World


def steps(count: int) -> list[tuple[Any, Any]]:
    """Frames with their keypoints; every third has none."""
    world = World()
    corners = [(ORIGIN[0] + 1.5 * i, ORIGIN[1] + 0.7 * i) for i in range(count)]
    return [(world.frame(i, c), None if i % 3 == 2 else world.keypoints(c)) for i, c in enumerate(corners)]


@pytest.mark.parametrize("kind", ["hybrid", "flow", "descriptor"])
def test_a_restored_tracker_goes_on_as_if_nothing_had_happened(kind: Any) -> None:
    tracker = Tracker(kind=kind)
    frames = steps(20)
    for frame, keypoints in frames[:10]:
        tracker.update(frame, keypoints)
    restored = restore_tracker(save_tracker(tracker))
    for frame, keypoints in frames[10:]:
        wanted, got = tracker.update(frame, keypoints), restored.update(frame, keypoints)
        assert len(wanted) > 100
        for name in ("ids", "xy", "scores", "lengths", "states", "seen", "trails_xy"):
            assert np.array_equal(getattr(wanted, name), getattr(got, name), equal_nan=name == "trails_xy")
    assert restored.counts == tracker.counts


def test_the_state_does_not_grow_with_the_history() -> None:
    tracker, sizes = Tracker(history=30), []
    for frame, keypoints in steps(20):
        tracker.update(frame, keypoints)
        sizes.append(len(save_tracker(tracker)))
    assert sizes[-1] < 1.2 * sizes[3]


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize("state", [b"", b"nonsense", pickle.dumps(3), pickle.dumps(Evil())])
def test_what_is_no_tracker_is_refused_and_not_run(state: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no tracker can be restored"):
        restore_tracker(state)
    assert capsys.readouterr().out == ""


def test_damaged_states_are_refused() -> None:
    tracker = Tracker()
    for frame, keypoints in steps(3):
        tracker.update(frame, keypoints)
    state = save_tracker(tracker)
    with pytest.raises(ValueError, match="no tracker can be restored"):
        restore_tracker(state[: len(state) // 2])
