"""A project of COLMAP: a database with camera, images, keypoints, matches and two-view geometries.

COLMAP's own feature extraction and matching are not needed: `colmap mapper --database_path OUT/database.db
--image_path OUT/images --output_path OUT/sparse`, or `pycolmap.incremental_mapping`, goes on from there.
Pixels from the upper left corner of the picture, y down: the centre of the upper left pixel is at (0.5, 0.5)
(COLMAP's documentation of its database and cameras). A known lens is written as PINHOLE, OPENCV, FULL_OPENCV
or OPENCV_FISHEYE, its focal length as known; without one the camera is SIMPLE_RADIAL, and COLMAP finds it.
"""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.exports.base import Clip, TrackPoints, from_top_left
from realtime_kp.exports.clip_pictures import clip_pictures
from realtime_kp.lens import Lens
from realtime_kp.sinks.pictures import write_picture

log = logging.getLogger(__name__)

_GUESSED_FOCAL = 1.2  # of the long side, as COLMAP does
_TIMEOUT_S = 3600.0


class ColmapExport:
    """Writes a folder with `database.db` and `images`.

    pycolmap runs in a process of its own: version 4.2.1 corrupts the heap where PyAV or OpenCV has decoded
    before.
    """

    suffix = ""
    entries: tuple[str, ...] = ("database.db", "images")
    most_frames = 150

    def __init__(self) -> None:
        if importlib.util.find_spec("pycolmap") is None:
            raise ConfigError("colmap needs pycolmap: pip install 'realtime-kp[colmap]'")
        self._clip: Clip | None = None
        self._frames: list[NDArray[np.int64]] = []
        self._ids: list[NDArray[np.int64]] = []
        self._xy: list[NDArray[np.float64]] = []

    def begin(self, clip: Clip, count: int, folder: Path) -> None:
        """Take the clip."""
        self._clip = clip

    def track(self, points: TrackPoints, folder: Path) -> None:
        """Take a track."""
        self._frames.append(points.frames)
        self._ids.append(np.full(len(points.frames), points.id))
        self._xy.append(from_top_left(points.xy))

    def end(self, folder: Path) -> None:
        """Write images and database."""
        assert self._clip is not None
        frames, ids = np.concatenate(self._frames), np.concatenate(self._ids)
        model, parameters = camera_of(self._clip)
        names = {int(frame): f"frame_{frame:06d}.png" for frame in np.unique(frames)}
        (folder / "images").mkdir()
        if self._clip.video is None:
            log.info("the folder images is empty, which is enough for the mapper: --video CLIP fills it")
        else:
            _write_images(self._clip, names, folder / "images")
        data = folder / "tracks.npz"
        np.savez(
            data,
            frames=frames,
            ids=ids,
            xy=np.concatenate(self._xy),
            names=np.array([names[frame] for frame in sorted(names)]),
            size_wh=np.array(self._clip.size_wh),
            model=np.array(model),
            parameters=np.array(parameters),
            known=np.array(self._clip.lens is not None),
        )
        try:
            _run_child(data, folder / "database.db")
        finally:
            data.unlink()


def camera_of(clip: Clip) -> tuple[str, tuple[float, ...]]:
    """COLMAP's name and parameters of the camera of a clip.

    Raises:
        ConfigError: COLMAP has no such lens.
    """
    lens = clip.lens
    if lens is None:
        width, height = clip.size_wh
        return "SIMPLE_RADIAL", (_GUESSED_FOCAL * max(width, height), width / 2, height / 2, 0.0)
    (fx, fy), (cx, cy) = lens.focal_xy, lens.centre_xy
    pinhole = (fx, fy, cx + 0.5, cy + 0.5)
    model, coefficients = _distortion_of(lens)
    return model, (*pinhole, *coefficients)


def _distortion_of(lens: Lens) -> tuple[str, tuple[float, ...]]:
    """COLMAP's name of the model, and the coefficients that it takes."""
    if lens.model == "fisheye":
        return "OPENCV_FISHEYE", lens.distortion
    if any(lens.distortion[8:]):
        raise ConfigError("COLMAP has no lens with a thin prism: calibrate it without")
    if not lens.distortion:
        return "PINHOLE", ()
    if not any(lens.distortion[4:]):
        return "OPENCV", lens.distortion[:4]
    return "FULL_OPENCV", (*lens.distortion[:8], *[0.0] * (8 - len(lens.distortion)))


def _write_images(clip: Clip, names: dict[int, str], folder: Path) -> None:
    for frame in clip_pictures(clip, np.array(sorted(names))):
        write_picture(folder / names[frame.index], frame.image_bgr)


def _run_child(data: Path, database: Path) -> None:
    command = [sys.executable, "-m", "realtime_kp.exports.colmap_database", str(data), str(database)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise SinkError(f"cannot write {database}: pycolmap did not end within an hour") from exc
    if done.returncode != 0 or not database.exists():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        told = next((line for line in lines if "Error" in line), f"it ended with {done.returncode}")
        raise SinkError(f"cannot write {database}: pycolmap: {told}")
