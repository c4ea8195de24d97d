from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.evaluation.there_and_back import there_and_back
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks, TrackState

FRAMES = [Frame(i, i / 30, 0.0, np.zeros((48, 64, 3), np.uint8)) for i in range(5)]
NONE = [Keypoints.empty() for _ in FRAMES]


class Scripted:
    """Shows ten tracks; some are lost on the way, some come back elsewhere."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        self.calls.append(frame.index)
        ids = np.arange(1, 11)
        xy = np.stack([ids * 10.0, ids * 10.0], axis=1) + frame.index * 0.0
        last = frame.index == 7
        if last:
            xy[0] += 2.0  # 2.8 px away
            xy[1] += 9.0
        seen = np.ones(10, bool)
        seen[2] = frame.index < 3  # lost for good
        seen[3] = frame.index != 4  # lost for a frame
        return Tracks(
            ids,
            xy.astype(np.float32),
            np.ones(10, np.float32),
            np.ones(10, np.int32),
            np.where(seen, TrackState.CONFIRMED, TrackState.LOST).astype(np.int8),
            seen,
            xy[:, None].astype(np.float32),
        )


def test_shares_are_of_all_points_of_the_first_frames() -> None:
    tracker = Scripted()
    found = there_and_back(FRAMES, NONE, lambda: tracker)
    assert tracker.calls == list(range(8))  # 0 1 2 3 4 3 2 1
    assert found is not None
    assert (found.points, found.frames) == (10, 3)
    assert found.survived == 0.9
    assert found.within_1px == 0.7
    assert found.within_3px == 0.8
    assert found.unbroken == 0.8
    assert found.median_px == pytest.approx(0, abs=1e-6)


def test_too_short_a_clip_or_no_tracks_tell_nothing() -> None:
    assert there_and_back(FRAMES[:2], NONE[:2], Scripted) is None

    class Empty:
        def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
            return Tracks.empty()

    assert there_and_back(FRAMES, NONE, Empty) is None
