from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.exports import TrackTable
from realtime_kp.exports.replay import Replay
from realtime_kp.keypoints import TrackState

TABLE = TrackTable(
    {
        "frame": np.array([0, 1, 1, 3, 3]),
        "track_id": np.array([2, 2, 7, 2, 7]),
        "x": np.array([1.0, 2.0, 10.0, 4.0, 30.0]),
        "y": np.array([5.0, 6.0, 20.0, 8.0, 40.0]),
        "score": np.array([0.5, 0.5, 0.25, 0.75, 0.25]),
        "length": np.array([1, 2, 1, 3, 2]),
        "sigma_px": np.array([0.1, np.nan, 0.2, 0.1, 0.2]),
        "state": np.array(["confirmed"] * 4 + ["lost"], object),
        "label": np.array(["nose", "nose", "", "nose", ""], object),
    },
    {},
)


def test_tracks_and_trails_are_those_of_the_run() -> None:
    replay = Replay(TABLE, trail_length=4)
    first, second, third, fourth = (replay.tracks(frame) for frame in range(4))
    assert [tracks.ids.tolist() for tracks in (first, second, third, fourth)] == [[2], [2, 7], [], [2, 7]]
    np.testing.assert_array_equal(second.trails_xy[0], [[np.nan] * 2, [np.nan] * 2, [1, 5], [2, 6]])
    # It was not seen in frame 2: the trail has a gap.
    np.testing.assert_array_equal(fourth.trails_xy[0], [[1, 5], [2, 6], [np.nan] * 2, [4, 8]])
    assert fourth.seen.tolist() == [True, False]
    assert fourth.states.tolist() == [TrackState.CONFIRMED, TrackState.LOST]
    assert fourth.lengths.tolist() == [3, 2]
    assert fourth.labels == {2: "nose"}
    np.testing.assert_allclose(fourth.scores, [0.75, 0.25])


def test_a_table_with_few_columns_is_enough() -> None:
    few = TrackTable({name: TABLE.columns[name] for name in ("frame", "track_id", "x", "y")}, {})
    tracks = Replay(few).tracks(0)
    assert tracks.seen.all()
    assert np.isnan(tracks.sigma_px).all()
    assert tracks.labels == {}


@pytest.mark.parametrize("length", [1, 3])
def test_trails_are_as_long_as_asked(length: int) -> None:
    assert Replay(TABLE, trail_length=length).tracks(0).trails_xy.shape == (1, length, 2)
