"""Arrays as in TAP-Vid's data sets (Doersch et al., TAP-Vid, NeurIPS 2022), in one `.npz` file.

`points (N, T, 2)` are normalised to 0 to 1 from the upper left corner of the picture, NaN where the track was
not seen; `occluded (N, T)`; `query_points (N, 3)`: frame, y and x of the first sight, pixels from that
corner, as `--points` reads them; besides `ids (N,)`, `size_wh (2,)` and `fps`.
"""

from __future__ import annotations

import zipfile
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from realtime_kp.exports.base import Clip, TrackPoints, from_top_left


class TapVidExport:
    """Writes a `.npz` file, track by track: all positions at once would take too much memory."""

    suffix = ".npz"

    def __init__(self) -> None:
        self._clip: Clip | None = None
        self._zip: zipfile.ZipFile | None = None
        self._points: IO[bytes] | None = None
        self._occluded = np.zeros((0, 0), np.bool_)
        self._ids: list[int] = []
        self._queries: list[NDArray[np.float64]] = []

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Begin the array of positions."""
        self._clip = clip
        self._occluded = np.ones((count, clip.frames), np.bool_)
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._points = self._zip.open("points.npy", "w", force_zip64=True)
        head = {"descr": "<f4", "fortran_order": False, "shape": (count, clip.frames, 2)}
        np.lib.format.write_array_header_1_0(self._points, head)

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Add a track."""
        assert self._clip is not None
        assert self._points is not None
        places = from_top_left(points.xy)
        row = np.full((self._clip.frames, 2), np.nan, "<f4")
        row[points.frames] = places / self._clip.size_wh
        self._points.write(row.tobytes())
        self._occluded[len(self._ids), points.frames] = False
        self._queries.append(np.array([points.frames[0], places[0, 1], places[0, 0]]))
        self._ids.append(points.id)

    def end(self, out: BinaryIO) -> None:
        """Write the other arrays."""
        assert self._clip is not None
        assert self._zip is not None
        assert self._points is not None
        self._points.close()
        arrays = {
            "occluded": self._occluded,
            "query_points": np.array(self._queries, np.float32).reshape(-1, 3),
            "ids": np.array(self._ids, np.int64),
            "size_wh": np.array(self._clip.size_wh),
            "fps": np.array(self._clip.fps),
        }
        for name, array in arrays.items():
            with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)
        self._zip.close()
