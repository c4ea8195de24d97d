"""How many past frames are kept."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.history import History, PastFrame


def kept(size_wh: tuple[int, int], capacity: int, count: int = 120) -> list[int]:
    history = History(capacity)
    grey = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    none = np.zeros(0, np.int64), np.zeros((0, 2), np.float32), np.zeros(0, np.bool_)
    for index in range(count):
        history.push(PastFrame(index, grey, *none))
    return [index for index in range(count) if history.find(index) is not None]


def test_so_many_frames_are_kept_as_asked() -> None:
    assert kept((64, 48), 90) == list(range(30, 120))


def test_of_large_frames_fewer_are_kept() -> None:
    many = kept((3840, 2160), 90, 60)
    assert many[-1] == 59
    assert 30 <= len(many) <= 256 * 2**20 // (3840 * 2160)
