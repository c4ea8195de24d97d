"""Files of points of one's own: CSV, or JSON in the form of TAP-Vid's queries."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from realtime_kp.errors import ArgumentError, ConfigError
from realtime_kp.tracking.query_points import QueryPoint

_COLUMNS = ("frame", "time_s", "x", "y", "name")
_FORM = "a file of points has the columns frame or time_s, x, y, and name if they have names"
# TAP-Vid measures from the corner of the picture, this project from the centre of the first pixel.
_TAP_VID_OFFSET_PX = 0.5


def read_query_points(path: Path) -> tuple[QueryPoint, ...]:
    """Read points of one's own; their ids are 0.

    A CSV file has a line of column names: `frame` (index, as in the tracks table) or `time_s`, `x`, `y`
    (pixels, 0 is the centre of the first one), and perhaps `name`. A JSON file holds `[t, y, x]` for each
    point, alone or as `query_points` of an object, perhaps with `names` beside it: TAP-Vid's form (Doersch et
    al., 2022), t being an index and x and y measured from the corner of the picture.

    Raises:
        ConfigError: The file cannot be read, or does not hold points; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the points of {path}: {exc}") from exc
    points = tuple(_from_json(path, text) if path.suffix.lower() == ".json" else _from_csv(path, text))
    if not points:
        raise ConfigError(f"{path} holds no points: {_FORM}")
    return points


def _from_csv(path: Path, text: str) -> Iterable[QueryPoint]:
    lines = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = [name.strip() for name in lines.fieldnames or ()]
    lines.fieldnames = names
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown:
        raise ConfigError(f"{path}: unknown column {unknown[0]!r}: {_FORM}")
    if not {"x", "y"} <= set(names) or ("frame" in names) == ("time_s" in names):
        raise ConfigError(f"{path} has the columns {', '.join(names) or '(none)'}: {_FORM}")
    for entries in lines:
        yield _point(f"{path}, line {lines.line_num}", entries)


def _from_json(path: Path, text: str) -> Iterable[QueryPoint]:
    try:
        data = json.loads(text)
    except ValueError as exc:
        raise ConfigError(f"{path} is no JSON: {exc}") from exc
    rows = data.get("query_points") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise ConfigError(f"{path} must hold a list of [t, y, x], or an object with query_points")
    names = data.get("names", []) if isinstance(data, dict) else []
    if names and len(names) != len(rows):
        raise ConfigError(f"{path} holds {len(rows)} query_points and {len(names)} names")
    for number, row in enumerate(rows):
        where = f"{path}, query_points[{number}]"
        if not isinstance(row, list) or len(row) != 3:
            raise ConfigError(f"{where} must be [t, y, x], got {row!r}")
        entries = dict(zip(("frame", "y", "x"), row, strict=True)) | {"name": names[number] if names else ""}
        yield _point(where, entries, _TAP_VID_OFFSET_PX)


def _point(where: str, entries: Mapping[str, Any], offset_px: float = 0.0) -> QueryPoint:
    def number(name: str) -> float:
        try:
            return float(entries[name])
        except (TypeError, ValueError) as exc:
            raise ConfigError(f"{where}: {name} must be a number, got {entries[name]!r}") from exc

    frame = number("frame") if "frame" in entries else None
    if frame is not None and (frame != int(frame) if abs(frame) < 2**53 else True):
        raise ConfigError(f"{where}: frame must be a whole number, got {entries['frame']!r}")
    xy = (number("x") - offset_px, number("y") - offset_px)
    name = str(entries.get("name") or "").strip()
    try:
        if frame is None:
            return QueryPoint(0, name, xy, time_s=number("time_s"))
        return QueryPoint(0, name, xy, int(frame))
    except ArgumentError as exc:
        raise ConfigError(f"{where}: {exc}") from exc
