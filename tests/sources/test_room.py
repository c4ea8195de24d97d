from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp import ConfigError, track
from realtime_kp.evaluation.track_accuracy import track_accuracy
from realtime_kp.sources import DemoSpec, RoomScene, Scene, procedural_picture

SIZE_WH = (320, 240)
BEFORE_THE_BOX = 10


@pytest.fixture(scope="module")
def walk() -> RoomScene:
    return RoomScene(SIZE_WH, seed=2)


def grid(step: int = 8) -> NDArray[np.float64]:
    x, y = np.meshgrid(np.arange(4, SIZE_WH[0] - 4, step), np.arange(4, SIZE_WH[1] - 4, step))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)


def flow_errors_px(scene: RoomScene, i: int, j: int) -> NDArray[np.float32]:
    """How far optical flow, which knows the pictures only, ends from the truth."""
    before, after = (cv2.cvtColor(scene.render(k), cv2.COLOR_BGR2GRAY) for k in (i, j))
    corners = cv2.goodFeaturesToTrack(before, 400, 0.01, 6).reshape(-1, 2)
    there, visible = scene.truth(i, j, corners)
    flag = cv2.OPTFLOW_USE_INITIAL_FLOW
    found, good, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners, there.copy(), winSize=(13, 13), maxLevel=0, flags=flag
    )
    used = visible & (good.ravel() == 1)
    assert used.sum() > 100
    return np.linalg.norm(found - there, axis=1)[used]


@pytest.mark.parametrize(
    "settings",
    [
        {"motion": "walk"},
        {"motion": "forward"},
        {"motion": "turn"},
        {"motion": "walk", "rolling_shutter": True},
        {"motion": "turn", "motion_blur": True},
    ],
)
def test_the_truth_is_where_the_pictures_show_it(settings: dict[str, Any]) -> None:
    errors = flow_errors_px(RoomScene(SIZE_WH, seed=1, **settings), 50, 51)
    assert np.median(errors) < 0.1
    assert np.percentile(errors, 80) < 0.25


def test_the_truth_lies_on_the_epipolar_lines_of_the_cameras(walk: RoomScene) -> None:
    i, j = 0, BEFORE_THE_BOX  # the driving box, which obeys other lines, is not there yet
    first, second = walk.camera(i), walk.camera(j)
    rotation = second[:, :3] @ np.linalg.inv(first[:, :3])
    x, y, z = second[:, 3] - rotation @ first[:, 3]
    fundamental = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ rotation
    points = grid()
    moved, visible = walk.truth(i, j, points)
    assert visible.mean() > 0.7
    lines = np.c_[points, np.ones(len(points))] @ fundamental.T
    distance = np.abs((np.c_[moved, np.ones(len(moved))] * lines).sum(axis=1))
    distance /= np.hypot(lines[:, 0], lines[:, 1])
    assert distance[visible].max() < 1e-3
    assert np.linalg.norm(moved - points, axis=1)[visible].max() > 10


def test_projected_corners_of_the_room_are_those_of_opencv(walk: RoomScene) -> None:
    corners = np.array([[-3.2, -1.6, 8.0], [3.2, 1.4, 8.0], [3.2, -1.6, 8.0], [-3.2, 1.4, 8.0]])
    matrix = walk.camera(20)
    intrinsics, rotation, centre = cv2.decomposeProjectionMatrix(matrix)[:3]
    translation = -rotation @ (centre[:3] / centre[3])
    expected = cv2.projectPoints(corners, cv2.Rodrigues(rotation)[0], translation, intrinsics, None)[0]
    projected = np.c_[corners, np.ones(4)] @ matrix.T
    np.testing.assert_allclose(projected[:, :2] / projected[:, 2:], expected[:, 0], atol=1e-6)
    assert intrinsics[0, 0] / intrinsics[2, 2] == pytest.approx(0.9 * SIZE_WH[0])


def test_no_motion_is_no_displacement(walk: RoomScene) -> None:
    points = grid()
    moved, visible = walk.truth(30, 30, points)
    assert visible.all()
    np.testing.assert_allclose(moved, points, atol=1e-3)
    nothing, none = walk.truth(0, 1, np.zeros((0, 2)))
    assert nothing.shape == (0, 2)
    assert none.shape == (0,)


def test_what_the_truth_calls_hidden_is_not_to_be_seen() -> None:
    scene = RoomScene((640, 480), "walk", seed=3)
    before, after = (
        cv2.GaussianBlur(cv2.cvtColor(scene.render(k), cv2.COLOR_BGR2GRAY), (0, 0), 1.2) for k in (38, 46)
    )
    x, y = np.meshgrid(np.arange(40, 600, 12), np.arange(40, 440, 12))
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    moved, visible = scene.truth(38, 46, points)
    inside = ((moved > 12) & (moved < (627, 467))).all(axis=1)
    hidden = inside & ~visible
    assert hidden.sum() > 10

    def likeness(mask: NDArray[np.bool_]) -> float:
        cut = [
            [cv2.getRectSubPix(image, (11, 11), tuple(map(float, xy))).ravel() for xy in places[mask]]
            for image, places in ((before, points), (after, moved))
        ]
        return float(np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(*cut, strict=True)]))

    assert likeness(inside & visible) > 0.8
    assert likeness(hidden) < 0.4


def test_forward_motion_more_than_doubles_what_is_near() -> None:
    scene = RoomScene(SIZE_WH, "forward", seed=0)
    points = grid()
    (first, shown), (second, shown_too) = (scene.truth(0, 40, points + np.array(d)) for d in ((0, 0), (4, 0)))
    both = shown & shown_too
    assert both.sum() > 50
    growth = np.linalg.norm(second - first, axis=1)[both] / 4
    assert np.percentile(growth, 95) > 1.4
    corners = [np.c_[[[-0.5, 0.4, 4.3]], [[1.0]]] @ scene.camera(k).T for k in (0, 45)]
    assert corners[0][0, 2] / corners[1][0, 2] > 2


def test_points_leave_the_frame_and_return() -> None:
    scene = RoomScene(SIZE_WH, "turn", seed=0)
    points = grid(16)
    seen = np.stack([scene.truth(0, j, points)[1] for j in range(0, 90, 3)])
    gone = ~seen
    returned = [
        bool((gone[:k].any(axis=0) & seen[k])[p]) for p in range(len(points)) for k in range(1, len(seen))
    ]
    assert np.mean(returned) > 0.1


def test_a_rolling_shutter_shears_and_the_middle_row_stays(walk: RoomScene) -> None:
    rolling = RoomScene(SIZE_WH, seed=2, rolling_shutter=True)
    np.testing.assert_allclose(rolling.camera(12), walk.camera(12))
    top, bottom = np.array([[160.0, 4.0]]), np.array([[160.0, 235.0]])
    for row in (top, bottom):
        sheared = rolling.truth(0, 8, row)[0] - walk.truth(0, 8, row)[0]
        assert 1e-3 < np.abs(sheared).max() < 5


def test_equal_seeds_give_equal_frames_and_other_seeds_others(walk: RoomScene) -> None:
    np.testing.assert_array_equal(walk.render(5), RoomScene(SIZE_WH, seed=2).render(5))
    assert np.abs(walk.render(5).astype(int) - RoomScene(SIZE_WH, seed=3).render(5)).mean() > 5


def test_a_photograph_is_the_texture(tmp_path: Path) -> None:
    red = np.zeros((90, 120, 3), np.uint8)
    red[..., 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), red)
    scene = DemoSpec.parse(f"demo:{tmp_path / 'red.png'}?motion=room&size=160x120").scene()
    blue, _, red_level = scene.render(0).reshape(-1, 3).mean(axis=0)
    assert red_level > 150
    assert blue < 20


def test_specifications_of_a_room() -> None:
    assert isinstance(DemoSpec.parse("demo:room?size=160x120").scene(), RoomScene)
    assert isinstance(DemoSpec.parse("demo?motion=room&size=160x120").scene(), RoomScene)
    spec = DemoSpec.parse("demo:room?motion=forward&rolling=1&blur=1&seed=4&frames=7")
    assert (spec.motion, spec.rolling, spec.blur, spec.seed, spec.frames) == ("forward", True, True, 4, 7)
    assert isinstance(DemoSpec.parse("demo?motion=fast&size=160x120").scene(), Scene)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("demo:room?motion=zoom", "walk, forward, turn"),
        ("demo?motion=swim", "handheld, fast, zoom, still, room"),
        ("demo:room?occluder=1", "occluder is not for a room"),
        ("demo?rolling=1", "rolling is only for a room"),
        ("demo:room?blur=2", "blur must be 0 or 1"),
    ],
)
def test_impossible_rooms_are_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        DemoSpec.parse(text)


@pytest.mark.slow
def test_tracks_of_a_room_are_judged() -> None:
    text = "demo:room?size=320x240&seed=1"
    frames = track(text, max_frames=20, model="small", resize="320", max_keypoints=300)
    found = track_accuracy(frames, DemoSpec.parse(text).scene())
    assert found.steps > 1000
    assert found.within_1px > 0.9
    assert found.since_birth > 0.8


def test_textures_larger_than_the_photograph_are_enlarged() -> None:
    scene = RoomScene((160, 120), picture_bgr=procedural_picture((64, 48)))
    assert scene.render(0).std() > 5
