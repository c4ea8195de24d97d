"""2D points of Science-D-Visions' 3DEqualizer, as its own exporter of 2D tracks writes them.

Pixels from the lower left corner of the picture, y up; the first frame is 1. Read it with File, Import, 2D
Tracks. Of the mmSolver project's documentation of the format: number of points, then for each its name, its
colour and its number of frames, and a line with frame, x and y for each of these.
"""

from __future__ import annotations

from typing import BinaryIO

from realtime_kp.exports.base import Clip, TrackPoints, from_bottom_left

_FIRST_FRAME = 1


class EqualizerExport:
    """Writes a `.txt` file."""

    suffix = ".txt"

    def __init__(self) -> None:
        self._height = 0

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Write the number of points."""
        self._height = clip.size_wh[1]
        out.write(f"{count}\n".encode())

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Write a point."""
        frames = (points.frames + _FIRST_FRAME).tolist()
        xy = from_bottom_left(points.xy, self._height).tolist()
        lines = [f"{frame} {x:.6f} {y:.6f}" for frame, (x, y) in zip(frames, xy, strict=True)]
        out.write("\n".join([points.name, "0", str(len(frames)), *lines, ""]).encode())

    def end(self, out: BinaryIO) -> None:
        """Nothing follows the points."""
