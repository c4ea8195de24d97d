"""The tracks table: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.base import PartialFile, written

COLUMNS = ("frame", "time_s", "track_id", "x", "y", "score", "length")
TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
_PARQUET_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One confirmed track in one frame in which it was seen.

    Attributes:
        frame: Index of the frame.
        time_s: The frame's timestamp.
        track_id: The track's id.
        x: Source pixels, to a thousandth.
        y: Source pixels, to a thousandth.
        score: Of its last detection.
        length: Frames in which the track was seen so far.
    """

    frame: int
    time_s: float
    track_id: int
    x: float
    y: float
    score: float
    length: int


def track_rows(tracked: TrackedFrame) -> list[TrackRow]:
    """The rows of one frame, by ascending id."""
    tracks = tracked.tracks.seen_confirmed
    frame, time_s = tracked.frame.index, round(tracked.frame.time_s, 6)
    columns = (tracks.ids, tracks.xy.astype(np.float64).round(3), tracks.scores.astype(np.float64).round(5))
    return [
        TrackRow(frame, time_s, track_id, x, y, score, length)
        for track_id, (x, y), score, length in zip(
            *(column.tolist() for column in columns), tracks.lengths.tolist(), strict=True
        )
    ]


class _Writer(Protocol):
    def write(self, rows: list[TrackRow]) -> None: ...

    def close(self) -> None: ...


class TracksTableSink:
    """Writes the tracks table; the suffix decides the format.

    Args:
        path: `.csv`, `.jsonl` or `.parquet`; the last needs pyarrow (`pip install 'realtime-kp[parquet]'`).

    Raises:
        ConfigError: Another suffix, or pyarrow is missing.
    """

    def __init__(self, path: Path) -> None:
        check_table_name(path)
        self.path = path
        self._file = PartialFile(path)
        self._writer: _Writer | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        try:
            self._writer = _make_writer(self._file.partial)
        except OSError as exc:
            raise written(self.path, exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        self._file.finish(self._writer.close, error, worth_keeping=self._rows > 0)

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Add the rows of one frame.

        Raises:
            SinkError: The file system refuses.
        """
        assert self._writer is not None
        rows = track_rows(tracked)
        try:
            self._writer.write(rows)
        except OSError as exc:
            raise written(self.path, exc) from exc
        self._rows += len(rows)


def check_table_name(path: Path) -> None:
    """Refuse a table that cannot be written, before any work is done.

    Raises:
        ConfigError: Another suffix than those known, or pyarrow is missing.
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


def _make_writer(path: Path) -> _Writer:
    if path.suffix.lower() == ".csv":
        return _CsvWriter(path)
    return _JsonLinesWriter(path) if path.suffix.lower() == ".jsonl" else _ParquetWriter(path)


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        self._out: IO[str] = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closed by close()
        self._csv = csv.writer(self._out, lineterminator="\n")
        self._csv.writerow(COLUMNS)

    def write(self, rows: list[TrackRow]) -> None:
        self._csv.writerows(
            (r.frame, f"{r.time_s:.6f}", r.track_id, f"{r.x:.3f}", f"{r.y:.3f}", f"{r.score:.5f}", r.length)
            for r in rows
        )

    def close(self) -> None:
        self._out.close()


class _JsonLinesWriter:
    def __init__(self, path: Path) -> None:
        self._out: IO[str] = open(path, "w", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def write(self, rows: list[TrackRow]) -> None:
        self._out.writelines(json.dumps(asdict(row)) + "\n" for row in rows)

    def close(self) -> None:
        self._out.close()


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = (pa.int64(), pa.float64(), pa.int64(), pa.float64(), pa.float64(), pa.float64(), pa.int32())
        self._schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
        self._writer: Any = pq.ParquetWriter(path, self._schema)
        self._waiting: list[TrackRow] = []

    def write(self, rows: list[TrackRow]) -> None:
        self._waiting += rows
        if len(self._waiting) >= _PARQUET_ROWS:
            self._flush()

    def close(self) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            columns = {name: [getattr(row, name) for row in self._waiting] for name in COLUMNS}
            self._writer.write_table(pa.table(columns, schema=self._schema))
            self._waiting.clear()


def write_track_rows(path: Path, tracked: TrackedFrame) -> None:
    """Write the table of a single frame.

    Raises:
        ConfigError: The suffix is unknown.
        SinkError: The file system refuses.
    """
    with TracksTableSink(path) as sink:
        sink.write(None, tracked)
