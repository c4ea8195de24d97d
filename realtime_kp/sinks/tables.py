"""The tracks table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import TrackedFrame, TrackState
from realtime_kp.lens import Lens
from realtime_kp.sinks.table_file import Column, TableFile

# Positions are source pixels, predicted where a track is lost; `score` is that of the last detection,
# `length` the number of frames in which the track was seen so far, `sigma_px` the standard deviation of the
# position, `label` the name of a point that the user asked for, `time_ns` the time by the
# clock of a data set, else `time_s`, in nanoseconds.
COLUMNS = (
    Column("frame", "int64"),
    Column("time_s", "float64", ".9f"),
    Column("track_id", "int64"),
    Column("x", "float64", ".3f"),
    Column("y", "float64", ".3f"),
    Column("score", "float64", ".5f"),
    Column("length", "int32"),
    Column("sigma_px", "float64", ".3f"),
    Column("state", "string"),
    Column("label", "string"),
    Column("time_ns", "int64"),
)
PICTURE_COLUMN = Column("picture", "string")
# Undistorted, normalised image coordinates of x, y as written, where the lens is known.
LENS_COLUMNS = (Column("x_n", "float64", ".9f"), Column("y_n", "float64", ".9f"))


def track_rows(
    tracked: TrackedFrame, *, with_lost: bool = False, with_picture: bool = False, with_lens: bool = False
) -> list[tuple[Any, ...]]:
    """The rows of one frame, by ascending id: confirmed tracks that were seen in it.

    Args:
        tracked: The frame.
        with_lost: Lost tracks too, where they are predicted.
        with_picture: Add the file of the frame.
        with_lens: Add undistorted, normalised image coordinates; None where the lens tells none.

    Returns:
        Values of `COLUMNS`, then of those that are added.
    """
    every = tracked.tracks
    seen = (every.states == TrackState.CONFIRMED) & every.seen
    tracks = every.where(seen | (with_lost & (every.states == TrackState.LOST)))
    frame, time_s = tracked.frame.index, round(tracked.frame.time_s, 9)
    time_ns = tracked.frame.time_ns
    xy = tracks.xy.astype(np.float64).round(3)
    lens_values = _normalised(xy, tracked.frame.lens) if with_lens else [()] * len(xy)
    columns = (
        tracks.ids,
        xy,
        tracks.scores.astype(np.float64).round(5),
        tracks.lengths,
        tracks.sigma_px.astype(np.float64).round(3),
        tracks.states,
    )
    # Bytes of a name that are no UTF-8 are escaped.
    picture = (tracked.frame.origin.encode("utf-8", "backslashreplace").decode(),) if with_picture else ()
    return [
        (
            *(frame, time_s, track_id, x, y, score, length),
            None if math.isnan(sigma_px) else sigma_px,
            TrackState(state).name.lower(),
            tracks.labels.get(track_id, ""),
            time_ns,
            *normalised,
            *picture,
        )
        for track_id, (x, y), score, length, sigma_px, state, normalised in zip(
            *(column.tolist() for column in columns), lens_values, strict=True
        )
    ]


def _normalised(xy: NDArray[np.float64], lens: Lens | None) -> list[tuple[float | None, ...]]:
    if lens is None:
        return [(None, None)] * len(xy)
    rounded = lens.normalised(xy).round(9).tolist()
    return [tuple(None if math.isnan(value) else value for value in pair) for pair in rounded]


class TracksTableSink:
    """Writes the tracks table in the format of the suffix.

    Args:
        path: `.csv`, `.jsonl` or `.parquet`; see `TableFile`.
        resume: Size in bytes, from `mark`, after which the file of an earlier run is continued.
        with_lost: Write lost tracks too, where they are predicted.
        with_pictures: Add a column with the file of each frame, for sets of pictures.
        with_lens: Add columns with undistorted, normalised image coordinates.
        notes: What a reader has to know of the table; see `TableFile`.

    Raises:
        ConfigError: The suffix is unknown, or pyarrow is missing.
    """

    def __init__(
        self,
        path: Path,
        resume: int | None = None,
        *,
        with_lost: bool = False,
        with_pictures: bool = False,
        with_lens: bool = False,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        lens, pictures = LENS_COLUMNS if with_lens else (), (PICTURE_COLUMN,) if with_pictures else ()
        self._table = TableFile(path, (*COLUMNS, *lens, *pictures), resume, notes=notes)
        self._with_lost = with_lost
        self._with_lens = with_lens
        self._with_pictures = with_pictures

    def __enter__(self) -> Self:
        self._table.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)

    @property
    def mark(self) -> int:
        """Size of the table, bytes, after flushing.

        Raises:
            SinkError: The file cannot be written.
        """
        return self._table.mark

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Add the rows of one frame.

        Raises:
            SinkError: The file cannot be written.
        """
        rows = track_rows(
            tracked,
            with_lost=self._with_lost,
            with_picture=self._with_pictures,
            with_lens=self._with_lens,
        )
        self._table.add(rows)


def write_track_rows(path: Path, tracked: TrackedFrame) -> None:
    """Write the table of a single frame.

    Raises:
        ConfigError: The suffix is unknown.
        SinkError: The file system refuses.
    """
    with TracksTableSink(path, with_lens=tracked.frame.lens is not None) as sink:
        sink.write(None, tracked)
