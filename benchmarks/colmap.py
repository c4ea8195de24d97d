"""What tracks are worth to COLMAP: its camera path through rooms that are known, from tracks alone.

    python -m benchmarks.colmap [--rooms 3] [--frames 90] [--every 3] [--model small]

Each tracker follows the same rendered rooms; its tracks are exported, mapped by pycolmap with a known camera,
and the path is aligned to the true one. Told are the images that were registered, the root mean square error
of the camera centres as a share of the path's extent, and the mean reprojection error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from realtime_kp.config import SuperPointConfig, TrackingConfig
from realtime_kp.evaluation.camera_path import path_error
from realtime_kp.evaluation.compared_trackers import PointTracker, make_trackers
from realtime_kp.exports import TrackTable, export_tracks
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints
from realtime_kp.lens import Lens, LensFile
from realtime_kp.sources import RoomScene

Image = NDArray[np.uint8]

_MAP = "import sys, benchmarks.colmap as b; b.map_folder(sys.argv[1])"
_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Mapped:
    """What COLMAP made of the tracks of a clip.

    Attributes:
        images: Number of images that it registered.
        of_images: Number of images of the clip.
        path_error: See `path_error`; infinite where fewer than three images were registered.
        reprojection_px: Mean reprojection error.
    """

    images: int
    of_images: int
    path_error: float
    reprojection_px: float


def lens_of(scene: RoomScene) -> Lens:
    """The pinhole camera that sees a room."""
    projection = scene.camera(0)
    width, height = scene.size_wh
    # Its rotation has rows of length 1, so that focal lengths can be read off the norms.
    third = projection[2, :3]
    focal = [float(np.linalg.norm(np.cross(projection[row, :3], third))) for row in (0, 1)]
    return Lens(scene.size_wh, (focal[0], focal[1]), ((width - 1) / 2, (height - 1) / 2))


def table_of(frames: list[Frame], keypoints: list[Keypoints], tracker: PointTracker) -> TrackTable:
    """The tracks table of a tracker on a clip."""
    rows = []
    for frame, found in zip(frames, keypoints, strict=True):
        seen = tracker.update(frame, found).seen_confirmed
        rows.append(np.column_stack([np.full(len(seen.ids), frame.index), seen.ids, seen.xy]))
    frame_column, ids, x, y = np.concatenate(rows).T
    columns = {"frame": frame_column.astype(np.int64), "track_id": ids.astype(np.int64), "x": x, "y": y}
    width, height = frames[0].size_wh
    return TrackTable(columns, {"width": width, "height": height, "fps": 30})


def mapped(table: TrackTable, scene: RoomScene, every: int) -> Mapped:
    """Export a table, have it mapped in a process of its own, and compare the path with the true one."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        lens = LensFile(Path("the room's"), lens_of(scene), tells_size=True)
        export_tracks(table, "colmap", project, every=every, lens=lens)
        command = [sys.executable, "-c", _MAP, str(project)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        lines = done.stdout.splitlines() if done.returncode == 0 else []
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {"centres": {}, "error_px": 0.0}
    first = int(table.frames.min())
    count = len(range(first, int(table.frames.max()) + 1, every))
    centres = {int(name[6:12]): place for name, place in found["centres"].items()}
    if len(centres) < 3:
        return Mapped(len(centres), count, float("inf"), found["error_px"])
    true = [_centre(scene.camera(frame)) for frame in sorted(centres)]
    places = [centres[frame] for frame in sorted(centres)]
    return Mapped(len(centres), count, path_error(np.array(places), np.array(true)), found["error_px"])


def map_folder(folder: str) -> None:
    """Map an exported folder, and print the largest model as a line of JSON: in a process of its own."""
    import pycolmap

    project = Path(folder)
    models = pycolmap.incremental_mapping(project / "database.db", project / "images", project / "sparse")
    best = max(models.values(), key=lambda model: model.num_reg_images(), default=None)
    images = [] if best is None else [image for image in best.images.values() if image.has_pose]
    result = {
        "error_px": 0.0 if best is None else best.compute_mean_reprojection_error(),
        "centres": {image.name: image.projection_center().tolist() for image in images},
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _centre(projection: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-np.linalg.solve(projection[:, :3], projection[:, 3]))


def measure(
    rooms: int, frames: int, every: int, find: Callable[[Image], Keypoints]
) -> Mapping[str, list[Mapped]]:
    """Results by tracker, one for each room."""
    trackers = make_trackers(TrackingConfig())
    results: dict[str, list[Mapped]] = {name: [] for name in trackers}
    for seed in range(rooms):
        scene = RoomScene(seed=seed)
        clip = [Frame(index, index / 30, 0.0, scene.render(index)) for index in range(frames)]
        keypoints = [find(frame.image_bgr) for frame in clip]
        for name, make in trackers.items():
            results[name].append(mapped(table_of(clip, keypoints, make()), scene, every))
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rooms", type=int, default=3)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--model", default="small")
    options = parser.parse_args()
    with SuperPoint(SuperPointConfig(model=options.model)) as superpoint:
        results = measure(options.rooms, options.frames, options.every, superpoint)
    table = Table(title=f"{options.rooms} rooms of {options.frames} frames, every {options.every}th mapped")
    for column in ("tracker", "images registered", "path error", "reprojection error"):
        table.add_column(column)
    for name, found in results.items():
        table.add_row(
            name,
            ", ".join(f"{one.images} of {one.of_images}" for one in found),
            ", ".join(f"{one.path_error:.2%}" for one in found),
            ", ".join(f"{one.reprojection_px:.2f} px" for one in found),
        )
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
