"""A Tracker4 node of The Foundry's Nuke.

Pixels from the lower left corner of the picture, y up; the first frame is 1 (Nuke's documentation of Tracker
and of its coordinates). A track that is lost for a while is switched off in between, as Nuke would
interpolate. Paste the file into the node graph, or open it as a script.
"""

from __future__ import annotations

from typing import BinaryIO

from realtime_kp.exports.base import Clip, TrackPoints, from_bottom_left, runs

_FIRST_FRAME = 1
# Kind, whether it is shown, width and name of each column of the node's table of tracks.
_COLUMNS = (
    *((5, 1, 20, "enable"), (3, 1, 75, "name"), (2, 1, 58, "track_x"), (2, 1, 58, "track_y")),
    *((2, 1, 63, "offset_x"), (2, 1, 63, "offset_y"), (4, 1, 27, "T"), (4, 1, 27, "R"), (4, 1, 27, "S")),
    *((2, 0, 45, "error"), (1, 1, 0, "error_min"), (1, 1, 0, "error_max")),
    *((1, 1, 0, f"{box}_{side}") for box in ("pattern", "search") for side in "xyrt"),
    (2, 1, 0, "key_track"),
    *((2, 1, 0, f"key_{box}_{side}") for box in ("search", "track") for side in "xyrt"),
    *((2, 1, 0, "key_centre_offset_x"), (2, 1, 0, "key_centre_offset_y")),
)
# Behind the position: offsets, T R S, error with its bounds, pattern and search boxes, key columns.
_REST = "{} {} 1 0 0 {} 1 0 -32 -32 32 32 -22 -22 22 22 " + " ".join(["{}"] * 11)
# The file is Tcl: what would end the name, or be run, in it.
_PLAIN = str.maketrans('\\"{}[]$;', "/'()()__")


class NukeExport:
    """Writes a `.nk` file."""

    suffix = ".nk"

    def __init__(self) -> None:
        self._height, self._every = 0, 1

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Write the node up to its tracks."""
        self._height, self._every = clip.size_wh[1], clip.every
        heads = "\n".join(
            f"{{ {kind} {shown} {width} {name} {'e' if name == 'enable' else name} 1 }}"
            for kind, shown, width, name in _COLUMNS
        )
        out.write(f"Tracker4 {{\n inputs 0\n tracks {{ {{ 1 {len(_COLUMNS)} {count} }}\n".encode())
        out.write(f"{{ {heads}\n}}\n{{\n".encode())

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Write a row of the table of tracks."""
        frames = (points.frames + _FIRST_FRAME).tolist()
        curves = [
            " ".join(f"x{frame} {value:.3f}" for frame, value in zip(frames, column, strict=True))
            for column in from_bottom_left(points.xy, self._height).T.tolist()
        ]
        switched = "".join(
            f" x{first + _FIRST_FRAME} 1 x{last + 1 + _FIRST_FRAME} 0"
            for first, last in runs(points.frames, self._every)
        )
        name = points.name.translate(_PLAIN)
        row = f' {{ {{curve K{switched}}} "{name}" {{curve {curves[0]}}} {{curve {curves[1]}}} {_REST} }}\n'
        out.write(row.encode())

    def end(self, out: BinaryIO) -> None:
        """Close the node."""
        out.write(b"}\n}\n name Tracker_realtime_kp\n selected true\n}\n")
