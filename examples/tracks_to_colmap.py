"""Tracks to a sparse cloud: `python tracks_to_colmap.py VIDEO FOLDER [LENS.yaml]`; needs `.[colmap]`.

Without a lens COLMAP finds the focal length itself, which asks for a camera that turns and moves.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAP = """
import sys, pycolmap
project = sys.argv[1]
models = pycolmap.incremental_mapping(project + "/database.db", project + "/images", project + "/sparse")
best = max(models.values(), key=lambda model: model.num_reg_images())
best.export_PLY(project + "/cloud.ply")
print(best.num_reg_images(), "images and", best.num_points3D(), "points:", project + "/cloud.ply")
"""


def main(video: str, folder: str, lens: str = "") -> None:
    """Track, export and map."""
    camera = ["--camera", lens] if lens else []
    track = ["realtime_kp", "video", video, "--no-video", "-q", "--export", f"colmap:{folder}", *camera]
    subprocess.run([sys.executable, "-m", *track], check=True)
    (Path(folder) / "sparse").mkdir()
    # In a process of its own: pycolmap and the libraries that decode video do not get along in one.
    subprocess.run([sys.executable, "-c", MAP, folder], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
