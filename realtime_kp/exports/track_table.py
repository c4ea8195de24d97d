"""Saved tracks tables as NumPy columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError, ConfigError, SourceError
from realtime_kp.sinks.table_file import NOTES_KEY, TABLE_SUFFIXES, notes_file

Values = NDArray[Any]

USUAL_FPS = 25.0
_LAST_FRAME = 50_000_000  # weeks; what is beyond is a mistake that would fill the memory
NEEDED = ("frame", "track_id", "x", "y")
_WHOLE = frozenset({"frame", "track_id", "length", "time_ns"})
_TEXTS = frozenset({"state", "label", "picture"})


@dataclass(frozen=True, slots=True, eq=False)
class TrackTable:
    """Rows of a tracks table, ordered by frame and id.

    Attributes:
        columns: `(N,)` values by name: whole numbers as `int64`, others as `float64` (NaN where empty), texts
            as objects.
        notes: What the table tells of itself: `width`, `height`, `fps`, `source`, `settings` and more; empty
            where nothing is known.
    """

    columns: Mapping[str, Values]
    notes: Mapping[str, Any]

    def __post_init__(self) -> None:
        missing = [name for name in NEEDED if name not in self.columns]
        if missing:
            had = ", ".join(self.columns) or "none"
            raise ArgumentError(f"a tracks table needs the column {missing[0]}, it has {had}")
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) > 1:
            raise ArgumentError(f"columns of a table must have one length, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.columns["frame"])

    @property
    def frames(self) -> NDArray[np.int64]:
        """`(N,)`: the frame of each row."""
        return self.columns["frame"]

    @property
    def ids(self) -> NDArray[np.int64]:
        """`(N,)`: the track of each row."""
        return self.columns["track_id"]

    @property
    def xy(self) -> NDArray[np.float64]:
        """`(N, 2)`: positions, pixels; the centre of the top left pixel is at (0, 0)."""
        return np.stack([self.columns["x"], self.columns["y"]], axis=1)

    @property
    def size_wh(self) -> tuple[int, int] | None:
        """Width and height of the frames; None where the table does not tell."""
        width, height = self.notes.get("width"), self.notes.get("height")
        return None if not width or not height else (int(width), int(height))

    @property
    def start_s(self) -> float:
        """Second of the video at which its frame 0 is: what `--start` was."""
        return float(self.notes.get("start_s") or 0.0)

    @property
    def fps(self) -> float | None:
        """Frame rate: that of the source, else from the times; None where nothing tells."""
        if self.notes.get("fps"):
            return float(self.notes["fps"])
        if "time_s" not in self.columns or len(self) == 0:
            return None
        frames, first = np.unique(self.frames, return_index=True)
        took_s = self.columns["time_s"][first[-1]] - self.columns["time_s"][first[0]]
        return float((frames[-1] - frames[0]) / took_s) if took_s > 0 else None

    def times_ns(self, count: int) -> NDArray[np.int64]:
        """`(count,)`: time of each frame, nanoseconds; of one without rows by its neighbours.

        Args:
            count: Number of frames.
        """
        rate = self.fps or USUAL_FPS
        frames, first = np.unique(self.frames, return_index=True)
        if "time_ns" in self.columns:
            known = self.columns["time_ns"][first]
        else:
            times_s = self.columns["time_s"][first] if "time_s" in self.columns else frames / rate
            frames, times_s = frames[np.isfinite(times_s)], times_s[np.isfinite(times_s)]
            known = np.rint(times_s * 1e9).astype(np.int64)
        if len(known) == 0:
            frames, known = np.zeros(1, np.int64), np.zeros(1, np.int64)
        # As differences they are exact in float64, which times since 1970 are not.
        every = np.arange(count)
        since_ns = np.interp(every, frames, (known - known[0]).astype(np.float64))
        since_ns += (every - np.clip(every, frames[0], frames[-1])) * 1e9 / rate
        return np.asarray(known[0] + np.rint(since_ns).astype(np.int64), np.int64)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> TrackTable:
        """Some of the rows, by mask or number."""
        return TrackTable({name: column[rows] for name, column in self.columns.items()}, self.notes)

    def track(self, track_id: int) -> TrackTable:
        """The rows of one track."""
        return self.where(self.ids == track_id)

    def frame(self, index: int) -> TrackTable:
        """The rows of one frame."""
        return self.where(self.frames == index)

    def tracks(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Each id with the numbers of its rows, in the order of the frames."""
        order = np.argsort(self.ids, kind="stable")
        ids, first = np.unique(self.ids[order], return_index=True)
        yield from zip(ids.tolist(), np.split(order, first[1:]), strict=False)

    def to_pandas(self) -> Any:
        """The columns as a `pandas.DataFrame`.

        Raises:
            ConfigError: pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as exc:
            raise ConfigError("to_pandas needs pandas: pip install pandas") from exc
        return pd.DataFrame(dict(self.columns))


def read_tracks(path: str | Path, only: Collection[str] | None = None) -> TrackTable:
    """Read a tracks table, as `--tracks` writes it or with the columns `frame`, `track_id`, `x` and `y`.

    Args:
        path: `.csv`, `.jsonl` or `.parquet`; of the first two, notes come from `PATH.json` beside it.
        only: Columns to read besides those four, where they are there; None reads all.

    Raises:
        SourceError: It cannot be read, or lacks a column.
        ConfigError: The suffix is unknown, or pyarrow is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise ConfigError(f"a tracks table ends in {', '.join(TABLE_SUFFIXES)}, got {path.name!r}")
    try:
        if suffix == ".parquet":
            columns, notes = _parquet(path, only)
        else:
            columns, notes = (_csv(path, only) if suffix == ".csv" else _jsonl(path)), _notes_beside(path)
        columns = {name: columns[name] for name in _wanted(columns, only)}
        table = TrackTable({name: _typed(name, column) for name, column in columns.items()}, notes)
    except OSError as exc:
        raise SourceError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (ValueError, TypeError, csv.Error) as exc:
        raise SourceError(f"{path} is no tracks table: {exc}") from exc
    order = np.lexsort((table.ids, table.frames))
    _check_rows(path, table, order)
    return table if (np.diff(order) == 1).all() else table.where(order)


def _check_rows(path: Path, table: TrackTable, order: NDArray[np.intp]) -> None:
    frames, ids = table.frames[order], table.ids[order]
    if len(frames) and not 0 <= frames[0] <= frames[-1] <= _LAST_FRAME:
        wrong = frames[0] if frames[0] < 0 else frames[-1]
        raise SourceError(f"{path} is no tracks table: it has a frame {wrong}")
    twice = np.flatnonzero((np.diff(frames) == 0) & (np.diff(ids) == 0))
    if len(twice):
        number, frame = ids[twice[0]], frames[twice[0]]
        raise SourceError(f"{path} is no tracks table: track {number} is twice in frame {frame}")


def _typed(name: str, values: Any) -> Values:
    if name in _TEXTS:
        if isinstance(values, np.ndarray):
            return values
        return np.array(["" if value is None else str(value) for value in values], object)
    if isinstance(values, np.ndarray) and values.dtype != object:
        numbers = values
    else:
        try:
            numbers = np.array([np.nan if value in (None, "") else value for value in values], np.float64)
        except ValueError:
            if name in NEEDED:
                raise ValueError(f"column {name} holds something else than numbers") from None
            return np.array(["" if value is None else value for value in values], object)
    if name not in _WHOLE:
        return numbers.astype(np.float64, copy=False)
    if name == "time_ns" and not isinstance(values, np.ndarray):
        return np.array([int(value) for value in values], np.int64)  # float64 would round
    whole = numbers.astype(np.int64, copy=False)
    if not np.array_equal(whole, numbers):
        raise ValueError(f"column {name} holds something else than whole numbers")
    return whole


def _wanted(names: Iterable[str], only: Collection[str] | None) -> list[str]:
    return [name for name in names if only is None or name in only or name in NEEDED]


def _csv(path: Path, only: Collection[str] | None) -> dict[str, Any]:
    try:
        import pyarrow.csv as pc
    except ImportError:
        return _csv_plain(path)
    import pyarrow as pa

    try:
        with open(path, "rb") as file:
            names = next(csv.reader([file.readline().decode("utf-8-sig")]), [])
            file.seek(0)
            texts = pc.ConvertOptions(
                column_types={name: pa.string() for name in _TEXTS},
                include_columns=[] if only is None else _wanted(names, only),
            )
            tables = [pc.read_csv(file, convert_options=texts)]
    except pa.ArrowException as exc:
        raise ValueError(" ".join(str(exc).split())) from exc
    return _arrow_columns(tables)


def _csv_plain(path: Path) -> dict[str, Any]:
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        names = next(rows, [])
        columns = list(zip(*rows, strict=True))
    return dict(zip(names, columns or [()] * len(names), strict=True))


def _jsonl(path: Path) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    names = list(rows[0]) if rows else list(NEEDED)
    if not all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
        raise ValueError("its lines are not objects with the same keys")
    return {name: [row[name] for row in rows] for name in names}


def _parquet(path: Path, only: Collection[str] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise ConfigError("Parquet needs pyarrow: pip install 'realtime-kp[parquet]', or read .csv") from exc
    try:
        with open(path, "rb") as file:
            names = pq.read_schema(file).names
            table = pq.read_table(file, columns=_wanted(names, only))
    except pa.ArrowException as exc:
        raise ValueError(" ".join(str(exc).split())) from exc
    text = (table.schema.metadata or {}).get(NOTES_KEY.encode(), b"{}")
    notes = json.loads(text)
    return _arrow_columns([table]), notes if isinstance(notes, dict) else {}


def _arrow_columns(tables: list[Any]) -> dict[str, Any]:
    """The columns of the only table in a list; each is freed when it was converted."""
    table = tables.pop()
    names, columns = list(table.column_names), list(table.columns)
    del table
    found = {}
    for name in reversed(names):
        found[name] = _arrow_values(columns.pop())
    return {name: found[name] for name in names}


def _arrow_values(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return column.to_pylist()
    if not pa.types.is_string(column.type):
        return column.to_numpy()
    # The same few texts in many rows are one object each.
    encoded = column.combine_chunks().dictionary_encode()
    texts = np.array([*encoded.dictionary.to_pylist(), ""], object)
    return texts[encoded.indices.fill_null(len(texts) - 1).to_numpy()]


def _notes_beside(path: Path) -> dict[str, Any]:
    beside = notes_file(path)
    if beside is None or not beside.exists():
        return {}
    try:
        notes = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise SourceError(f"cannot read {beside}, the notes of {path.name}: {exc}") from exc
    return notes if isinstance(notes, dict) else {}
