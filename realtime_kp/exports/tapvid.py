"""Arrays as in TAP-Vid's data sets (Doersch et al., TAP-Vid, NeurIPS 2022), in one `.npz` file.

`points (N, T, 2)` are normalised to 0 to 1 from the upper left corner of the picture, NaN where the track was
not seen; `occluded (N, T)`; `query_points (N, 3)`: frame, y and x of the first sight, pixels from that
corner, as `--points` reads them; besides `ids (N,)`, `size_wh (2,)` and `fps`.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from realtime_kp.exports.base import Clip, TrackPoints, from_top_left


class TapVidExport:
    """Writes a `.npz` file."""

    suffix = ".npz"

    def __init__(self) -> None:
        self._clip: Clip | None = None
        self._points = np.zeros((0, 0, 2), np.float32)
        self._ids: list[int] = []
        self._queries: list[NDArray[np.float64]] = []

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Make room for all tracks."""
        self._clip = clip
        self._points = np.full((count, clip.frames, 2), np.nan, np.float32)

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Take a track."""
        assert self._clip is not None
        places = from_top_left(points.xy)
        self._points[len(self._ids), points.frames] = places / self._clip.size_wh
        self._queries.append(np.array([points.frames[0], places[0, 1], places[0, 0]]))
        self._ids.append(points.id)

    def end(self, out: BinaryIO) -> None:
        """Write all arrays."""
        assert self._clip is not None
        np.savez_compressed(
            out,
            points=self._points,
            occluded=np.isnan(self._points[..., 0]),
            query_points=np.array(self._queries, np.float32).reshape(-1, 3),
            ids=np.array(self._ids, np.int64),
            size_wh=np.array(self._clip.size_wh),
            fps=np.array(self._clip.fps),
        )
