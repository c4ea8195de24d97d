"""Motion trackers of Adobe After Effects, as keyframe text: copy the file's text and paste it onto a layer.

Pixels from the upper left corner of the picture, y down; the first frame is 0 (Adobe's help on copying
keyframes as text). Missing frames have no key, so that the program interpolates.
"""

from __future__ import annotations

from typing import BinaryIO

from realtime_kp.exports.base import Clip, TrackPoints, from_top_left

_PROPERTIES = ("Feature Center", "Attach Point")

_USUAL_FPS = (24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0, 60000 / 1001, 60.0, 120.0)


class AfterEffectsExport:
    """Writes a `.txt` file."""

    suffix = ".txt"

    def __init__(self) -> None:
        self._number = 0

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Write the head."""
        width, height = clip.size_wh
        lines = (
            "Adobe After Effects 8.0 Keyframe Data",
            "",
            f"\tUnits Per Second\t{_nominal(clip.fps):.7g}",
            f"\tSource Width\t{width}",
            f"\tSource Height\t{height}",
            "\tSource Pixel Aspect Ratio\t1",
            "\tComp Pixel Aspect Ratio\t1",
            "",
        )
        out.write("\r\n".join((*lines, "")).encode())

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Write a track point."""
        self._number += 1
        frames, xy = points.frames.tolist(), from_top_left(points.xy).tolist()
        keys = [f"\t{frame}\t{x:.3f}\t{y:.3f}" for frame, (x, y) in zip(frames, xy, strict=True)]
        for name in _PROPERTIES:
            head = f"Motion Trackers\tTracker #1\tTrack Point #{self._number}\t{name}"
            out.write("\r\n".join([head, "\tFrame\tX pixels\tY pixels", *keys, "", ""]).encode())

    def end(self, out: BinaryIO) -> None:
        """Write the last line."""
        out.write(b"\r\nEnd of Keyframe Data\r\n")


def _nominal(fps: float) -> float:
    """The usual rate that a measured one is nearly: compositions have those."""
    nearest = min(_USUAL_FPS, key=lambda usual: abs(usual - fps))
    return nearest if abs(nearest - fps) <= 5e-4 * fps else fps
