"""The tracks table."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import TrackedFrame, TrackState
from realtime_kp.sinks.table_file import Column, TableFile

# Positions are source pixels, predicted where a track is lost; `score` is that of the last detection,
# `length` the number of frames in which the track was seen so far, `sigma_px` the standard deviation of the
# position, `label` the name of a point that the user asked for.
COLUMNS = (
    Column("frame", "int64"),
    Column("time_s", "float64", ".6f"),
    Column("track_id", "int64"),
    Column("x", "float64", ".3f"),
    Column("y", "float64", ".3f"),
    Column("score", "float64", ".5f"),
    Column("length", "int32"),
    Column("sigma_px", "float64", ".3f"),
    Column("state", "string"),
    Column("label", "string"),
)
PICTURE_COLUMN = Column("picture", "string")


def track_rows(
    tracked: TrackedFrame, *, with_lost: bool = False, with_picture: bool = False
) -> list[tuple[Any, ...]]:
    """The rows of one frame, by ascending id: confirmed tracks that were seen in it.

    Args:
        tracked: The frame.
        with_lost: Lost tracks too, where they are predicted.
        with_picture: Add the file of the frame.

    Returns:
        Values of `COLUMNS`.
    """
    every = tracked.tracks
    seen = (every.states == TrackState.CONFIRMED) & every.seen
    tracks = every.where(seen | (with_lost & (every.states == TrackState.LOST)))
    frame, time_s = tracked.frame.index, round(tracked.frame.time_s, 6)
    columns = (
        tracks.ids,
        tracks.xy.astype(np.float64).round(3),
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
            *picture,
        )
        for track_id, (x, y), score, length, sigma_px, state in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


class TracksTableSink:
    """Writes the tracks table in the format of the suffix.

    Args:
        path: `.csv`, `.jsonl` or `.parquet`; see `TableFile`.
        resume: Size in bytes, from `mark`, after which the file of an earlier run is continued.
        with_lost: Write lost tracks too, where they are predicted.
        with_pictures: Add a column with the file of each frame, for sets of pictures.

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
    ) -> None:
        self._table = TableFile(path, (*COLUMNS, PICTURE_COLUMN) if with_pictures else COLUMNS, resume)
        self._with_lost = with_lost
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
        self._table.add(track_rows(tracked, with_lost=self._with_lost, with_picture=self._with_pictures))


def write_track_rows(path: Path, tracked: TrackedFrame) -> None:
    """Write the table of a single frame.

    Raises:
        ConfigError: The suffix is unknown.
        SinkError: The file system refuses.
    """
    with TracksTableSink(path) as sink:
        sink.write(None, tracked)
