from __future__ import annotations

import sys

import numpy as np
import pytest

from realtime_kp.errors import ConfigError
from realtime_kp.exports.supervision import to_supervision
from realtime_kp.keypoints import Tracks, TrackState

TRACKS = Tracks(
    np.array([3, 5, 8]),
    np.array([[10, 20], [30.5, 40], [50, 60]], np.float32),
    np.array([0.5, 0.25, 0.75], np.float32),
    np.array([4, 5, 6], np.int32),
    np.array([TrackState.CONFIRMED, TrackState.CONFIRMED, TrackState.LOST], np.int8),
    np.array([True, True, False]),
    np.zeros((3, 1, 2), np.float32),
    np.array([0.1, 0.2, 0.3], np.float32),
    {5: "nose"},
)


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ConfigError, match="pip install supervision"):
        to_supervision(TRACKS)


def test_seen_tracks_are_boxes_with_their_ids() -> None:
    supervision = pytest.importorskip("supervision", reason="pip install supervision")
    found = to_supervision(TRACKS, size_px=4)
    assert isinstance(found, supervision.Detections)
    assert found.tracker_id.tolist() == [3, 5]
    assert found.xyxy.tolist() == [[8, 18, 12, 22], [28.5, 38, 32.5, 42]]
    assert found.confidence.tolist() == [0.5, 0.25]
    assert found.data["label"].tolist() == ["", "nose"]
    image = np.zeros((80, 80, 3), np.uint8)
    assert supervision.DotAnnotator().annotate(image, found).any()
    # The library's own filters keep ids and data together.
    assert found[found.tracker_id == 5].data["label"].tolist() == ["nose"]
