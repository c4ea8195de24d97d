from __future__ import annotations

import numpy as np
import pytest

from benchmarks.colmap import lens_of, mapped, table_of
from realtime_kp.evaluation.camera_path import path_error
from realtime_kp.exports import TrackTable
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.sources import RoomScene
from realtime_kp.tracking import Tracker


def test_the_lens_of_a_room() -> None:
    scene = RoomScene()
    lens = lens_of(scene)
    np.testing.assert_allclose(lens.focal_xy, (576, 576))
    rotation = np.linalg.solve(lens.matrix, scene.camera(7))[:, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)


def test_a_path_is_compared_in_any_frame_and_scale() -> None:
    true = np.random.default_rng(0).normal(size=(20, 3))
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    found = 3.7 * true @ turn.T + (5, -2, 1)
    assert path_error(found, true) < 1e-9
    off = found.copy()
    off[3] += 3.7 * 0.2
    assert 0.002 < path_error(off, true) < 0.05
    # A mirrored path is another one.
    assert path_error(found * (1, 1, -1), true) > 0.05


@pytest.fixture(scope="module")
def table() -> tuple[RoomScene, TrackTable]:
    scene = RoomScene(seed=0)
    frames = [Frame(index, index / 30, 0.0, scene.render(index)) for index in range(90)]
    with SuperPoint(model="small") as superpoint:
        keypoints = [superpoint(frame.image_bgr) for frame in frames]
    return scene, table_of(frames, keypoints, Tracker())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_colmap_finds_the_path_through_a_room(table: tuple[RoomScene, TrackTable]) -> None:
    pytest.importorskip("pycolmap", reason="pycolmap has no wheel here")
    scene, tracks = table
    found = mapped(tracks, scene, every=3)
    assert (found.images, found.of_images) == (30, 30)
    assert found.path_error <= 0.005
    assert found.reprojection_px < 0.5
