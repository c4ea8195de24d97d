"""Tables in CSV, JSON lines or Parquet, which grow row by row and can be continued."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.sinks.base import PartialFile, reopen_at, write_atomically, write_error

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")

NOTES_KEY = "realtime_kp"

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        kind: Its type in Parquet, as Arrow calls it.
        form: Format of its values in CSV.
    """

    name: str
    kind: Literal["int64", "int32", "float64", "string", "bool"]
    form: str = ""

    def text(self, value: Any) -> str:
        """A value in CSV; None is empty."""
        if value is None:
            return ""
        return str(value).lower() if self.kind == "bool" else format(value, self.form)


class TableFile:
    """A table in the format of the suffix.

    Args:
        path: `.csv`, `.jsonl` or `.parquet`; the last needs pyarrow (`pip install 'realtime-kp[parquet]'`).
        columns: Its columns.
        resume: Size in bytes, from `mark`, after which the file of an earlier run is continued.
        flag: The flag that names it, for messages.
        notes: What a reader has to know of the table, as plain values: in Parquet under the key
            `realtime_kp`, of other formats in the file that `notes_file` names.

    Raises:
        ConfigError: The suffix is unknown, or pyarrow is missing.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[Column],
        resume: int | None = None,
        flag: str = "--tracks",
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        check_table_name(path, flag)
        self.path = path
        self._columns = tuple(columns)
        self._kind = path.suffix.lower()
        self._file = PartialFile(path, self._make_parquet if self._kind == ".parquet" else None)
        self._resume = resume
        self._notes = notes
        self._out: IO[str] | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        if self._resume is not None:
            self._out = self._reopened(self._resume)
            return self
        try:
            self._out = open(self._file.partial, "w", encoding="utf-8", newline="")
            if self._kind != ".jsonl":
                self._write_head(self._out)
        except OSError as exc:
            raise write_error(self.path, exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._out is not None
        keep = self._rows > 0 or bool(self._resume)
        self._file.finish(self._out.close, error, worth_keeping=keep, faults=self._faults)
        beside = notes_file(self.path)
        if error is None and self._notes is not None and beside is not None:
            text = json.dumps(self._notes, indent=2, default=str, ensure_ascii=False)
            write_atomically(beside, (text + "\n").encode("utf-8", "backslashreplace"))

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

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows, a value for each column.

        Raises:
            SinkError: The file cannot be written.
        """
        assert self._out is not None
        try:
            if self._kind == ".jsonl":
                names = [column.name for column in self._columns]
                self._out.writelines(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
            else:
                self._write_csv(self._out, rows)
        except OSError as exc:
            raise write_error(self.path, exc) from exc
        self._rows += len(rows)

    @property
    def _faults(self) -> tuple[type[Exception], ...]:
        return (OSError, *_arrow_faults()) if self._kind == ".parquet" else (OSError,)

    def _write_head(self, out: IO[str]) -> None:
        csv.writer(out, lineterminator="\n").writerow([column.name for column in self._columns])

    def _write_csv(self, out: IO[str], rows: Iterable[Row]) -> None:
        csv.writer(out, lineterminator="\n").writerows(
            [column.text(value) for column, value in zip(self._columns, row, strict=True)] for row in rows
        )

    def _reopened(self, size: int) -> IO[str]:
        grown = self._file.partial
        try:
            if not grown.exists() or grown.stat().st_size < size:
                if self._kind == ".parquet":
                    self._make_csv(self.path, grown)
                else:
                    shutil.copyfile(self.path, grown)
        except self._faults as exc:
            raise SinkError(f"cannot continue {self.path}: {exc}") from exc
        return reopen_at(grown, size)

    def _make_parquet(self, grown: Path, target: Path) -> None:
        """Convert the CSV file, block by block."""
        import pyarrow as pa
        import pyarrow.csv as pc
        import pyarrow.parquet as pq

        schema = pa.schema([(column.name, getattr(pa, _arrow_name(column))()) for column in self._columns])
        if self._notes is not None:
            text = json.dumps(self._notes, default=str)
            schema = schema.with_metadata({NOTES_KEY: text})
        options = pc.ConvertOptions(column_types=schema)
        # Arrow opens no path that is not UTF-8.
        with (
            open(grown, "rb") as rows,
            open(target, "wb") as file,
            pc.open_csv(rows, convert_options=options) as blocks,
            pq.ParquetWriter(file, schema) as out,
        ):
            for block in blocks:
                out.write_batch(block.replace_schema_metadata(schema.metadata))

    def _make_csv(self, whole: Path, target: Path) -> None:
        """Convert a Parquet file back into the CSV file it was written from, byte for byte."""
        import pyarrow.parquet as pq

        with (
            open(whole, "rb") as file,
            pq.ParquetFile(file) as table,
            open(target, "w", encoding="utf-8", newline="") as out,
        ):
            self._write_head(out)
            for block in table.iter_batches():
                self._write_csv(out, (list(row.values()) for row in block.to_pylist()))


def notes_file(path: Path) -> Path | None:
    """The file beside a table with its notes; None for Parquet, which holds them."""
    return None if path.suffix.lower() == ".parquet" else path.with_name(path.name + ".json")


def check_table_name(path: Path, flag: str = "--tracks") -> None:
    """Check before any work that a table can be written.

    Args:
        path: The file.
        flag: The flag that names it.

    Raises:
        ConfigError: The suffix is unknown, or pyarrow is missing.
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise ConfigError(f"{flag} takes a file ending in {', '.join(TABLE_SUFFIXES)}, got {path.name!r}")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as exc:
            raise ConfigError(
                "Parquet needs pyarrow: pip install 'realtime-kp[parquet]', or write .csv"
            ) from exc


def _arrow_name(column: Column) -> str:
    return "bool_" if column.kind == "bool" else column.kind


def _arrow_faults() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return (pa.ArrowException,)
