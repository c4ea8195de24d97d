from __future__ import annotations

import numpy as np

from realtime_kp.exports.base import TrackPoints
from realtime_kp.exports.sightings import Sightings

TRACKS = [
    TrackPoints(3, "nose", np.array([0, 1, 3]), np.array([[0.0, 0.0], [1.0, 2.0], [5.0, 2.0]])),
    TrackPoints(7, "track7", np.array([1, 3]), np.array([[10.0, 10.0], [10.0, 14.0]])),
]


def test_rows_are_in_the_order_of_frames_and_ids() -> None:
    seen = Sightings.of(TRACKS)
    assert seen.frames.tolist() == [0, 1, 1, 3, 3]
    assert seen.ids.tolist() == [3, 3, 7, 3, 7]
    assert seen.xy[:, 0].tolist() == [0, 1, 10, 5, 10]
    assert seen.before.tolist() == [-1, 0, -1, 1, 2]
    assert seen.lengths.tolist() == [1, 2, 1, 3, 2]
    assert seen.numbers.tolist() == [0, 0, 1, 0, 1]
    assert [seen.ids[seen.rows(frame)].tolist() for frame in range(5)] == [[3], [3, 7], [], [3, 7], []]


def test_velocities_are_those_since_the_track_was_last_seen() -> None:
    seen = Sightings.of(TRACKS)
    # So far from 0 that float64 would round each time to 256 ns.
    times_ns = 1403636579763555584 + np.arange(4) * 500_000_001
    found = seen.velocities(slice(0, 5), seen.xy, times_ns)
    np.testing.assert_allclose(found, [[0, 0], [2, 4], [0, 0], [4, 0], [0, 4]], rtol=1e-8)
    np.testing.assert_array_equal(seen.velocities(slice(3, 5), seen.xy, times_ns), found[3:])
    assert not seen.velocities(slice(0, 5), seen.xy, np.zeros(4, np.int64)).any()
