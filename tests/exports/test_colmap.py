"""The database that COLMAP is given; read back in a process of its own, as `colmap` writes it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.exports import TrackTable, check_export, export_tracks, read_tracks
from realtime_kp.exports.base import Clip
from realtime_kp.exports.colmap import camera_of
from realtime_kp.lens import Lens, lens_text, open_lens_file
from tests.conftest import numbered_image, write_clip

needs_pycolmap = pytest.mark.skipif(
    importlib.util.find_spec("pycolmap") is None, reason="pycolmap is not installed"
)
READ = """
import json, sys, pycolmap
db = pycolmap.Database.open(sys.argv[1])
camera = db.read_all_cameras()[0]
images = db.read_all_images()
pairs, matches = db.read_all_matches()
print(json.dumps({
    "model": camera.model.name, "params": camera.params.tolist(), "size": [camera.width, camera.height],
    "prior": camera.has_prior_focal_length, "frames": db.num_frames(), "names": [i.name for i in images],
    "keypoints": [db.read_keypoints(i.image_id).tolist() for i in images],
    "matches": [m.tolist() for m in matches], "verified": db.num_verified_image_pairs(),
}))
"""


def read_back(database: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(database)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def moving(frames: int = 6, count: int = 40, notes: dict[str, Any] | None = None) -> TrackTable:
    """Points of a rigid cloud that a camera passes by; those with odd ids are not seen in frame 2."""
    rng = np.random.default_rng(0)
    cloud = rng.uniform((-2, -1.5, 4), (2, 1.5, 8), (count, 3))
    rows = []
    for frame in range(frames):
        places = cloud - (0.1 * frame, 0, 0)
        xy = places[:, :2] / places[:, 2:] * 300 + (159.5, 119.5)
        ids = np.arange(1, count + 1)
        seen = (frame != 2) | (ids % 2 == 0)
        rows.append(np.column_stack([np.full(count, frame), ids, xy])[seen])
    frame, ids, x, y = np.concatenate(rows).T
    columns = {"frame": frame.astype(np.int64), "track_id": ids.astype(np.int64), "x": x, "y": y}
    return TrackTable(columns, {"width": 320, "height": 240, "fps": 30} if notes is None else notes)


@needs_pycolmap
def test_the_database_holds_the_tracks(tmp_path: Path) -> None:
    table = moving()
    assert export_tracks(table, "colmap", tmp_path / "c") == 40
    found = read_back(tmp_path / "c" / "database.db")
    assert found["names"] == [f"frame_{number:06d}.png" for number in range(6)]
    assert (found["model"], found["size"], found["prior"]) == ("SIMPLE_RADIAL", [320, 240], False)
    assert found["params"] == [384, 160, 120, 0]
    assert found["frames"] == 6
    for number, keypoints in enumerate(found["keypoints"]):
        # The centre of the upper left pixel is at (0.5, 0.5).
        np.testing.assert_allclose(keypoints, table.frame(number).xy + 0.5, atol=1e-3)
    assert len(found["matches"]) == found["verified"] == 15
    assert sorted(len(matches) for matches in found["matches"]) == [20] * 5 + [40] * 10
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["database.db", "images"]


@needs_pycolmap
def test_images_are_the_frames_of_the_tracks(tmp_path: Path) -> None:
    pictures = [numbered_image(number) for number in range(6)]
    height, width = pictures[0].shape[:2]
    clip = write_clip(tmp_path / "a.mp4", pictures, options={"crf": "4"})
    table = moving(notes={"width": width, "height": height})
    export_tracks(table, "colmap", tmp_path / "c", video=str(clip), every=2)
    images = sorted((tmp_path / "c" / "images").iterdir())
    assert [path.name for path in images] == [f"frame_{number:06d}.png" for number in (0, 2, 4)]
    for path, number in zip(images, (0, 2, 4), strict=True):
        gaps = [np.abs(cv2.imread(str(path)).astype(int) - other).mean() for other in pictures]
        assert int(np.argmin(gaps)) == number
    with pytest.raises(SourceError, match="has no frame 6: the tracks are of another video"):
        export_tracks(moving(8, notes=dict(table.notes)), "colmap", tmp_path / "d", video=str(clip), every=2)
    with pytest.raises(SourceError, match="the tracks are of frames of 320x240"):
        export_tracks(moving(), "colmap", tmp_path / "d", video=str(clip))
    assert not (tmp_path / "d").exists()
    assert not (tmp_path / "d.partial").exists()


@pytest.mark.parametrize(
    ("lens", "model", "parameters"),
    [
        (Lens((320, 240), (300.0, 301.0), (159.5, 119.5)), "PINHOLE", (300, 301, 160, 120)),
        (
            Lens((320, 240), (300.0, 301.0), (159.5, 119.5), (0.1, 0.2, 0.3, 0.4, 0.0)),
            "OPENCV",
            (300, 301, 160, 120, 0.1, 0.2, 0.3, 0.4),
        ),
        (
            Lens((320, 240), (300.0, 301.0), (159.5, 119.5), (0.1, 0.2, 0.3, 0.4, 0.5)),
            "FULL_OPENCV",
            (300, 301, 160, 120, 0.1, 0.2, 0.3, 0.4, 0.5, 0, 0, 0),
        ),
        (
            Lens((320, 240), (300.0, 301.0), (159.5, 119.5), (0.1, 0.2, 0.3, 0.4), "fisheye"),
            "OPENCV_FISHEYE",
            (300, 301, 160, 120, 0.1, 0.2, 0.3, 0.4),
        ),
    ],
)
def test_lenses_are_those_of_colmap(lens: Lens, model: str, parameters: tuple[float, ...]) -> None:
    assert camera_of(Clip((320, 240), 30, 5, np.zeros(5, np.int64), "", lens=lens)) == (model, parameters)


def test_a_lens_that_colmap_does_not_have() -> None:
    lens = Lens((320, 240), (300.0, 301.0), (159.5, 119.5), (0.1,) * 12)
    with pytest.raises(ConfigError, match="thin prism"):
        camera_of(Clip((320, 240), 30, 5, np.zeros(5, np.int64), "", lens=lens))


@needs_pycolmap
def test_a_known_lens_is_written(tmp_path: Path) -> None:
    (tmp_path / "l.yaml").write_text(lens_text(Lens((640, 480), (600.0, 600.0), (319.5, 239.5))))
    export_tracks(moving(), "colmap", tmp_path / "c", lens=open_lens_file(tmp_path / "l.yaml"))
    found = read_back(tmp_path / "c" / "database.db")
    assert (found["model"], found["prior"]) == ("PINHOLE", True)
    np.testing.assert_allclose(found["params"], (300, 300, 160, 120))


@needs_pycolmap
@pytest.mark.timeout(600)
def test_long_videos_have_fewer_images_and_pairs(tmp_path: Path) -> None:
    export_tracks(moving(310), "colmap", tmp_path / "c")
    found = read_back(tmp_path / "c" / "database.db")
    assert len(found["names"]) == 104  # every third
    assert found["names"][:2] == ["frame_000000.png", "frame_000003.png"]
    assert len(found["matches"]) < 104 * 20


@needs_pycolmap
def test_what_colmap_made_since_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    export_tracks(moving(), "colmap", folder)
    with pytest.raises(SinkError, match="add --overwrite"):
        check_export("colmap", folder, overwrite=False)
    check_export("colmap", folder, overwrite=True)
    (folder / "sparse").mkdir()
    with pytest.raises(SinkError, match="holds more than an export, such as sparse"):
        check_export("colmap", folder, overwrite=True)
    assert (folder / "sparse").is_dir()
    with pytest.raises(ConfigError, match="colmap is a folder, without a suffix"):
        check_export("colmap", tmp_path / "c.db")


def test_without_pycolmap_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'realtime-kp\[colmap\]'"):
        check_export("colmap", tmp_path / "c")


@needs_pycolmap
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_straight_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["video", "demo:room?size=320x240", "--max-frames", "12", "--model", "small", "--resize", "320"]
    words += ["-q", "--no-video", "--tracks", "t.csv"]
    assert main([*words, "--export", "colmap:c"]) == 0
    found = read_back(tmp_path / "c" / "database.db")
    table = read_tracks("t.csv")
    assert found["names"] == [f"frame_{number:06d}.png" for number in np.unique(table.frames).tolist()]
    assert len(list((tmp_path / "c" / "images").iterdir())) == len(found["names"])
    assert main([*words, "--export", "colmap:c", "--overwrite"]) == 0
    (tmp_path / "c" / "sparse").mkdir()
    assert main([*words, "--export", "colmap:c", "--overwrite"]) == 5
