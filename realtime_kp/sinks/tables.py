"""Tracks table in CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.keypoints import TrackedFrame, TrackState
from realtime_kp.sinks.base import PartialFile, reopen_at, write_error

COLUMNS = ("frame", "time_s", "track_id", "x", "y", "score", "length", "sigma_px", "state", "label")
PICTURE_COLUMN = "picture"
TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One track in one frame.

    Attributes:
        frame: Index of the frame.
        time_s: Timestamp of the frame.
        track_id: Id of the track.
        x: Source pixels, rounded to 0.001; predicted where the track is lost.
        y: Source pixels, rounded to 0.001.
        score: Score of its last detection.
        length: Number of frames in which the track was seen so far.
        sigma_px: Standard deviation of the position, rounded to 0.001; None where unknown.
        state: `confirmed`, seen in this frame, or `lost`.
        label: Name of a point that the user asked for; empty for all others.
        picture: File of the frame; empty where the source is no set of pictures.
    """

    frame: int
    time_s: float
    track_id: int
    x: float
    y: float
    score: float
    length: int
    sigma_px: float | None
    state: str
    label: str = ""
    picture: str = ""


def track_rows(tracked: TrackedFrame, *, with_lost: bool = False) -> list[TrackRow]:
    """The rows of one frame, by ascending id: confirmed tracks that were seen in it.

    Args:
        tracked: The frame.
        with_lost: Lost tracks too, where they are predicted.
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
    return [
        TrackRow(
            *(frame, time_s, track_id, x, y, score, length),
            sigma_px=None if math.isnan(sigma_px) else sigma_px,
            state=TrackState(state).name.lower(),
            label=tracks.labels.get(track_id, ""),
            # Bytes of a name that are no UTF-8 are escaped.
            picture=tracked.frame.origin.encode("utf-8", "backslashreplace").decode(),
        )
        for track_id, (x, y), score, length, sigma_px, state in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


class TracksTableSink:
    """Writes the tracks table in the format of the suffix.

    Args:
        path: `.csv`, `.jsonl` or `.parquet`; the last needs pyarrow (`pip install 'realtime-kp[parquet]'`).
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
        check_table_name(path)
        self._with_lost = with_lost
        self._columns = (*COLUMNS, PICTURE_COLUMN) if with_pictures else COLUMNS
        self.path = path
        self._kind = path.suffix.lower()
        self._file = PartialFile(path, _make_parquet if self._kind == ".parquet" else None)
        self._resume = resume
        self._out: IO[str] | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        if self._resume is not None:
            self._out = self._reopened(self._resume)
            return self
        try:
            self._out = open(self._file.partial, "w", encoding="utf-8", newline="")
            if self._kind != ".jsonl":
                csv.writer(self._out, lineterminator="\n").writerow(self._columns)
        except OSError as exc:
            raise write_error(self.path, exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._out is not None
        keep = self._rows > 0 or bool(self._resume)
        self._file.finish(self._out.close, error, worth_keeping=keep, faults=self._faults)

    @property
    def _faults(self) -> tuple[type[Exception], ...]:
        return (OSError, *_arrow_faults()) if self._kind == ".parquet" else (OSError,)

    @property
    def mark(self) -> int:
        """Size of the table, bytes, after flushing.

        Raises:
            SinkError: The file cannot be written.
        """
        assert self._out is not None
        try:
            self._out.flush()
            return self._out.tell()
        except OSError as exc:
            raise write_error(self.path, exc) from exc

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Add the rows of one frame.

        Raises:
            SinkError: The file cannot be written.
        """
        assert self._out is not None
        rows = track_rows(tracked, with_lost=self._with_lost)
        try:
            if self._kind == ".jsonl":
                self._out.writelines(json.dumps(_entries(row, self._columns)) + "\n" for row in rows)
            else:
                _write_csv(self._out, rows, self._columns)
        except OSError as exc:
            raise write_error(self.path, exc) from exc
        self._rows += len(rows)

    def _reopened(self, size: int) -> IO[str]:
        grown = self._file.partial
        try:
            if not grown.exists() or grown.stat().st_size < size:
                if self._kind == ".parquet":
                    _make_csv(self.path, grown)
                else:
                    shutil.copyfile(self.path, grown)
        except self._faults as exc:
            raise SinkError(f"cannot continue {self.path}: {exc}") from exc
        return reopen_at(grown, size)


def check_table_name(path: Path) -> None:
    """Check before any work that a table can be written.

    Raises:
        ConfigError: The suffix is unknown, or pyarrow is missing.
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise ConfigError(f"--tracks takes a file ending in {', '.join(TABLE_SUFFIXES)}, got {path.name!r}")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as exc:
            raise ConfigError(
                "Parquet needs pyarrow: pip install 'realtime-kp[parquet]', or write .csv"
            ) from exc


def _entries(row: TrackRow, columns: Sequence[str]) -> dict[str, Any]:
    entries = asdict(row)
    return {name: entries[name] for name in columns}


def _write_csv(out: IO[str], rows: Iterable[TrackRow], columns: Sequence[str]) -> None:
    csv.writer(out, lineterminator="\n").writerows(
        (
            *(r.frame, f"{r.time_s:.6f}", r.track_id, f"{r.x:.3f}", f"{r.y:.3f}", f"{r.score:.5f}", r.length),
            "" if r.sigma_px is None else f"{r.sigma_px:.3f}",
            r.state,
            r.label,
            *([r.picture] if PICTURE_COLUMN in columns else []),
        )
        for r in rows
    )


def _make_parquet(grown: Path, target: Path) -> None:
    """Convert the CSV file, block by block."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    types = (
        *(pa.int64(), pa.float64(), pa.int64(), pa.float64(), pa.float64(), pa.float64(), pa.int32()),
        *(pa.float64(), pa.string(), pa.string(), pa.string()),
    )
    with open(grown, encoding="utf-8", newline="") as text:
        columns = next(csv.reader(text), list(COLUMNS))
    schema = pa.schema(
        [field for field in zip((*COLUMNS, PICTURE_COLUMN), types, strict=True) if field[0] in columns]
    )
    options = pc.ConvertOptions(column_types=schema)
    # Arrow opens no path that is not UTF-8.
    with (
        open(grown, "rb") as rows,
        open(target, "wb") as file,
        pc.open_csv(rows, convert_options=options) as blocks,
        pq.ParquetWriter(file, schema) as out,
    ):
        for block in blocks:
            out.write_batch(block)


def _make_csv(whole: Path, target: Path) -> None:
    """Convert a Parquet file back into the CSV file it was written from, byte for byte."""
    import pyarrow.parquet as pq

    with (
        open(whole, "rb") as file,
        pq.ParquetFile(file) as table,
        open(target, "w", encoding="utf-8", newline="") as out,
    ):
        columns = table.schema_arrow.names
        csv.writer(out, lineterminator="\n").writerow(columns)
        for block in table.iter_batches():
            _write_csv(out, (TrackRow(**row) for row in block.to_pylist()), columns)


def _arrow_faults() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return (pa.ArrowException,)


def write_track_rows(path: Path, tracked: TrackedFrame) -> None:
    """Write the table of a single frame.

    Raises:
        ConfigError: The suffix is unknown.
        SinkError: The file system refuses.
    """
    with TracksTableSink(path) as sink:
        sink.write(None, tracked)
