from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.keypoints import Keypoints, ReferencePose, TrackState
from realtime_kp.render import Look
from realtime_kp.serve.tracks_message import tracks_columns, tracks_json
from tests.serve.serving import tracked_frame


def parsed(message: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a program reads that knows the documentation only."""
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    columns = {}
    for name, column in header["columns"].items():
        dtype = np.dtype(column["dtype"]).newbyteorder("<")
        begin = 4 + length + column["offset"]
        assert begin % 8 == 0
        count = int(np.prod(column["shape"]))
        columns[name] = np.frombuffer(message, dtype, count, begin).reshape(column["shape"])
    return header, columns


def test_columns_hold_the_confirmed_tracks() -> None:
    tracked = tracked_frame(7)
    header, columns = parsed(tracks_columns(tracked, Look()))
    tracks = tracked.tracks.confirmed
    assert len(tracks) == 49
    np.testing.assert_array_equal(columns["id"], tracks.ids)
    np.testing.assert_array_equal(columns["xy"], tracks.xy)
    np.testing.assert_array_equal(columns["score"], tracks.scores)
    np.testing.assert_array_equal(columns["sigma_px"], tracks.sigma_px)
    np.testing.assert_array_equal(columns["length"], tracks.lengths)
    np.testing.assert_array_equal(columns["seen"], tracks.seen)
    assert columns["rgb"].shape == (49, 3)
    assert set(np.unique(columns["clear"])) == {0, 1}
    assert columns["clear"][1] == 1  # a point of one's own is never thinned out
    assert header["labels"] == {str(2**33 + 2): "corner"}
    assert (header["frame"], header["size_wh"]) == (7, [320, 240])
    assert header["time_ns"] == tracked.frame.time_ns
    assert header["captured_at_s"] == tracked.frame.captured_at_s


def test_json_tells_the_same() -> None:
    tracked = tracked_frame(7)
    told = json.loads(tracks_json(tracked))
    header, columns = parsed(tracks_columns(tracked, Look()))
    assert {name: told[name] for name in ("version", "frame", "time_s", "time_ns", "size_wh")} == {
        name: header[name] for name in ("version", "frame", "time_s", "time_ns", "size_wh")
    }
    assert [row["id"] for row in told["tracks"]] == columns["id"].tolist()
    np.testing.assert_allclose([(r["x"], r["y"]) for r in told["tracks"]], columns["xy"], atol=6e-4)
    assert [row["sigma_px"] for row in told["tracks"][:2]] == [None, 0.25]
    assert [row.get("label") for row in told["tracks"][:3]] == [None, "corner", None]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_tracks(count: int) -> None:
    tracked = tracked_frame(0, count)
    tracked.tracks.states[:] = TrackState.CONFIRMED
    _, columns = parsed(tracks_columns(tracked, Look(), keypoints=True))
    assert len(columns["id"]) == count
    assert len(columns["keypoint_xy"]) == 0
    assert len(json.loads(tracks_json(tracked))["tracks"]) == count


def test_keypoints_and_reference() -> None:
    xy = np.array([[3, 4], [5, 6]], np.float32)
    keypoints = Keypoints(xy, np.array([0.9, 0.1], np.float32), np.zeros((2, 4), np.float32))
    pose = ReferencePose(True, 9, corners_xy=np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32))
    tracked = replace(tracked_frame(0), keypoints=keypoints, reference=pose)
    header, columns = parsed(tracks_columns(tracked, Look(), keypoints=True))
    np.testing.assert_array_equal(columns["keypoint_xy"], xy)
    assert columns["keypoint_score"].tolist() == pytest.approx([0.9, 0.1])
    assert header["reference"][2] == [9, 9]
    assert "keypoint_xy" not in parsed(tracks_columns(tracked, Look()))[1]
