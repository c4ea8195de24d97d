"""The examples, run as a user runs them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import av
import cv2
import numpy as np
import pytest

from realtime_kp.evaluation.reference_clips import ReferenceClip
from realtime_kp.sources import RoomScene, procedural_picture
from tests.conftest import DATA, child_environment, write_clip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(folder: Path, name: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *words],
        cwd=folder,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_of_them_are_listed() -> None:
    listed = re.findall(r"`(\w+\.py)`", (EXAMPLES / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_camera_to_numpy(tmp_path: Path) -> None:
    lines = run(tmp_path, "camera_to_numpy.py", str(DATA / "box.mp4"), "8").splitlines()
    assert len(lines) == 8
    assert int(re.findall(r"(\d+) tracks", lines[-1])[0]) > 100


def room_clip(path: Path, frames: int) -> RoomScene:
    scene = RoomScene(seed=0)
    write_clip(path, [scene.render(i) for i in range(frames)], fps=30, options={"crf": "8"})
    return scene


def focal_px(scene: RoomScene) -> float:
    projection = scene.camera(0)
    return float(np.linalg.norm(np.cross(projection[0, :3], projection[2, :3])))


def test_tracks_to_colmap(tmp_path: Path) -> None:
    pytest.importorskip("pycolmap")
    scene = room_clip(tmp_path / "room.mp4", 45)
    width, height = scene.size_wh
    focal = focal_px(scene)
    (tmp_path / "l.yaml").write_text(
        f"image_width: {width}\nimage_height: {height}\n"
        f"camera_matrix: {{rows: 3, cols: 3, data: [{focal}, 0, {(width - 1) / 2}, 0, {focal}, "
        f"{(height - 1) / 2}, 0, 0, 1]}}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}\n"
    )
    told = run(tmp_path, "tracks_to_colmap.py", "room.mp4", "project", "l.yaml").splitlines()[-1]
    images, points = map(int, re.findall(r"\d+", told)[:2])
    assert images >= 40
    assert points > 300
    assert (tmp_path / "project/cloud.ply").read_bytes().startswith(b"ply")


def test_tracks_to_rerun(tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    run(tmp_path, "tracks_to_rerun.py", str(DATA / "box.mp4"), "a.rrd")
    from rerun.chunk import RrdReader

    rows = sum(
        chunk.num_rows
        for chunk in RrdReader(tmp_path / "a.rrd").stream()
        if chunk.entity_path == "/video/tracks"
    )
    assert rows == 59  # in the first frame no track is confirmed yet


def test_two_view_pose_is_the_true_one(tmp_path: Path) -> None:
    scene = room_clip(tmp_path / "room.mp4", 26)
    first, last = 3, 25
    found = imported("two_view_pose").pose(str(tmp_path / "room.mp4"), focal_px(scene), first, last)
    rotation, direction, inliers = found
    cameras = [scene.camera(index) for index in (first, last)]
    focal, (width, height) = focal_px(scene), scene.size_wh
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    before, after = (np.linalg.inv(matrix) @ camera[:, :3] for camera in cameras)
    before, after = (turn / np.cbrt(np.linalg.det(turn)) for turn in (before, after))
    centres = [-np.linalg.solve(camera[:, :3], camera[:, 3]) for camera in cameras]
    wanted = after @ before.T
    moved = before @ (centres[1] - centres[0])
    assert inliers > 150
    assert np.degrees(np.linalg.norm(cv2.Rodrigues(rotation @ wanted.T)[0])) < 0.3
    assert np.degrees(np.arccos(np.clip(direction @ moved / np.linalg.norm(moved), -1, 1))) < 5
    told = run(tmp_path, "two_view_pose.py", "room.mp4", str(focal_px(scene)), "3", "25")
    assert "the camera has turned by" in told


def test_ar_poster(tmp_path: Path) -> None:
    poster = procedural_picture((320, 240), 5)
    clip = ReferenceClip(poster, procedural_picture((900, 700), 9), size_wh=(480, 360), seed=1)
    write_clip(tmp_path / "a.mp4", [clip.render(i) for i in range(30)], fps=30, options={"crf": "8"})
    cv2.imwrite(str(tmp_path / "poster.png"), poster)
    cv2.imwrite(str(tmp_path / "red.png"), np.full((50, 50, 3), (0, 0, 255), np.uint8))
    told = run(tmp_path, "ar_poster.py", "a.mp4", "poster.png", "red.png", "o.mp4")
    assert int(re.findall(r"found in (\d+)", told)[0]) > 20
    with av.open(str(tmp_path / "o.mp4")) as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(images) == 30
    red = (images[-1][..., 2] > 180) & (images[-1][..., 1] < 80)
    assert red.mean() > 0.05


def test_own_source_and_sink(tmp_path: Path) -> None:
    run(tmp_path, "own_source_and_sink.py", "o.txt", "30")
    lines = (tmp_path / "o.txt").read_text().splitlines()
    assert len(lines) >= 25
    numbers = [line.split() for line in lines]
    assert [int(one[0]) for one in numbers] == list(range(int(numbers[0][0]), 30))
