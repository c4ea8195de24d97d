from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from realtime_kp.frame import Frame
from realtime_kp.keypoints import Detection, Keypoints, ReferencePose, TrackedFrame, Tracks, TrackState
from realtime_kp.lens import Lens
from realtime_kp.render import Straightener, draw_regions, render

LENS = Lens((320, 240), (200.0, 200.0), (161.0, 118.0), (-0.3, 0.09, 0.001, -0.0005, -0.01))
# Marks near the corners, where the lens bends most.
MARKS = np.array([[40, 40], [280, 60], [160, 120], [270, 200]], np.float32)


def shown(lens: Lens | None = LENS) -> TrackedFrame:
    image = np.zeros((240, 320, 3), np.uint8)
    for x, y in MARKS.astype(int).tolist():
        cv2.circle(image, (x, y), 3, (0, 0, 255), -1)
    count = len(MARKS)
    trails = np.repeat(MARKS[:, None], 4, axis=1)
    trails[0, 0] = np.nan
    tracks = Tracks(
        np.arange(1, count + 1),
        MARKS,
        np.ones(count, np.float32),
        np.full(count, 4, np.int32),
        np.full(count, TrackState.CONFIRMED, np.int8),
        np.ones(count, np.bool_),
        trails,
    )
    keypoints = Keypoints(MARKS, np.ones(count, np.float32), np.zeros((count, 8), np.float32))
    frame = Frame(3, 0.1, 0.0, image, lens=lens)
    return TrackedFrame(frame, keypoints, tracks, reference=ReferencePose(True, 9, np.eye(3), MARKS))


def places_of_marks(image: np.ndarray) -> np.ndarray:
    _, _, _, centres = cv2.connectedComponentsWithStats((image[..., 2] > 100).astype(np.uint8))
    return centres[1:]


def test_all_positions_go_with_the_picture() -> None:
    straight = Straightener().straightened(shown(), 4)
    marks = places_of_marks(straight.frame.image_bgr)
    assert straight.keypoints is not None
    assert straight.reference is not None
    assert straight.reference.corners_xy is not None
    for found in (straight.tracks.xy, straight.keypoints.xy, straight.reference.corners_xy):
        gaps = np.linalg.norm(found[:, None] - marks, axis=2).min(axis=1)
        assert gaps.max() < 0.7
    np.testing.assert_allclose(straight.tracks.trails_xy[1:, -2], straight.tracks.xy[1:])
    assert np.isnan(straight.tracks.trails_xy[0, 0]).all()
    assert np.linalg.norm(straight.tracks.xy - MARKS, axis=1).max() > 5


def test_keypoints_of_an_earlier_frame_go_too() -> None:
    one = shown()
    assert one.keypoints is not None
    newest = Detection(1, 0.0, 0, (320, 240), one.keypoints)
    straight = Straightener().straightened(
        replace(one, keypoints=None, newest=newest, updates_since_newest=2), 1
    )
    assert straight.newest is not None
    np.testing.assert_array_equal(straight.newest.keypoints.xy, straight.tracks.xy)
    assert straight.tracks.trails_xy.shape[1] == 3
    assert render(straight, {"keypoints"}).any()


def test_without_a_lens_nothing_is_straightened() -> None:
    one = shown(None)
    assert Straightener().straightened(one, 4) is one


@pytest.mark.parametrize("mirror", [False, True])
def test_regions_are_drawn_where_they_are(mirror: bool) -> None:
    straightener = Straightener()
    straight = straightener.straightened(shown(), 4)
    image = straight.frame.image_bgr.copy()
    image[:] = 100
    draw_regions(image, ((40, 40, 241, 161),), mirror=mirror, view=straightener.view(LENS))
    if mirror:
        image = image[:, ::-1]
    x, y = straightener.view(LENS).from_source(np.array([[40, 120]], np.float32))[0]
    assert (image[round(y), round(x) - 2 : round(x) + 3] != 100).any()
    x, y = straightener.view(LENS).from_source(np.array([[160, 40]], np.float32))[0]
    assert (image[round(y) - 2 : round(y) + 3, round(x)] != 100).any()
