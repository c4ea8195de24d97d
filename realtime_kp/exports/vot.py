"""A sequence of points as the toolkit of the VOT challenges reads it (github.com/votchallenge/toolkit).

A folder with `sequence` (length, size and rate); for each track `groundtruth_ID.txt` (`groundtruth.txt` for a
single one) with a line for each frame, `x,y` or 0 where it was not seen (code "unknown", as is what lacks at
the end); with a video the frames as `color/00000001.jpg` and so on. Pixels from the upper left one, whose
centre is at (0, 0).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime_kp.exports.base import Clip, TrackPoints
from realtime_kp.exports.clip_pictures import clip_pictures
from realtime_kp.sinks.pictures import write_picture


class VotExport:
    """Writes a folder, track by track."""

    suffix = ""
    entries: tuple[str, ...] = ("sequence", "color", "groundtruth.txt", "groundtruth_*.txt")
    most_frames = 1_000_000

    def __init__(self) -> None:
        self._clip: Clip | None = None
        self._count = 0

    def begin(self, clip: Clip, count: int, folder: Path) -> None:
        """Take the clip."""
        self._clip, self._count = clip, count

    def track(self, points: TrackPoints, folder: Path) -> None:
        """Write the file of a track."""
        lines = np.full(int(points.frames[-1]) + 1, "0", object)
        lines[points.frames] = [f"{x:.3f},{y:.3f}" for x, y in points.xy.tolist()]
        name = "groundtruth.txt" if self._count == 1 else f"groundtruth_{points.id}.txt"
        (folder / name).write_text("\n".join(lines.tolist()) + "\n", encoding="ascii")

    def end(self, folder: Path) -> None:
        """Write the description, and the frames of the video."""
        assert self._clip is not None
        clip, (width, height) = self._clip, self._clip.size_wh
        values = {
            "name": Path(clip.name).stem or "sequence",
            "fps": round(clip.fps),
            "format": "default",
            "channel.default": "color",
            "channels.color": "color/%08d.jpg",
            "width": width,
            "height": height,
            "length": clip.frames,
        }
        text = "".join(f"{key}={value}\n" for key, value in values.items())
        (folder / "sequence").write_text(text, encoding="utf-8", errors="backslashreplace")
        (folder / "color").mkdir()
        if clip.video is not None:
            for frame in clip_pictures(clip, np.arange(clip.frames)):
                write_picture(folder / "color" / f"{frame.index + 1:08d}.jpg", frame.image_bgr)
