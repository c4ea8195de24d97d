"""Writes a tracks table in another format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.exports.base import Clip, TrackPoints
from realtime_kp.exports.formats import FORMATS
from realtime_kp.exports.track_table import TrackTable
from realtime_kp.sinks.base import PartialFile, write_error

_USUAL_FPS = 25.0


def check_export(name: str, path: Path) -> None:
    """Check before any work that there is such a format, and that a file may be one.

    Raises:
        ConfigError: The format is unknown, or the suffix is another one's.
    """
    if name not in FORMATS:
        raise ConfigError(f"there is no export format {name!r}, but {', '.join(FORMATS)}")
    suffix = FORMATS[name]().suffix
    if path.suffix.lower() != suffix:
        raise ConfigError(f"{name} is written as {suffix}, got {path.name!r}")


def clip_of(table: TrackTable, size_wh: tuple[int, int] | None = None) -> Clip:
    """What a table tells of its clip.

    Args:
        table: The table.
        size_wh: Width and height of the frames; None takes those that the table tells.

    Raises:
        SourceError: It holds no tracks, or nothing tells the size.
    """
    if len(table) == 0:
        raise SourceError("the table holds no tracks")
    size_wh = size_wh or table.size_wh
    if size_wh is None:
        raise SourceError("the table does not tell the size of the frames: give --size WxH")
    last = int(table.frames.max())
    return Clip(size_wh, table.fps or _USUAL_FPS, last + 1, str(table.notes.get("source") or ""))


def export_tracks(
    table: TrackTable,
    name: str,
    path: Path,
    *,
    size_wh: tuple[int, int] | None = None,
    min_length: int = 2,
    every: int = 1,
) -> int:
    """Write a table in another format; the file appears when it is whole.

    Args:
        table: The tracks. Rows of lost tracks, which are predictions, are left out.
        name: One of `FORMATS`.
        path: The file.
        size_wh: Width and height of the frames; None takes those that the table tells.
        min_length: Tracks seen in fewer of the frames that count are left out.
        every: Only frames whose number is a multiple of it count.

    Returns:
        Number of tracks written.

    Raises:
        ConfigError: The format is unknown, or the suffix is another one's.
        SourceError: The table holds no such tracks, or does not tell the size of the frames.
        SinkError: The file cannot be written.
    """
    check_export(name, path)
    clip = clip_of(table, size_wh)
    tracks = list(_points(table, min_length, every))
    if not tracks:
        raise SourceError(f"no track was seen in {min_length} frames or more: give a smaller --min-length")
    file, export = PartialFile(path), FORMATS[name]()
    try:
        with open(file.partial, "wb") as out:
            export.begin(clip, len(tracks), out)
            for points in tracks:
                export.track(points, out)
            export.end(out)
        file.commit()
    except OSError as exc:
        file.abandon(worth_keeping=False)
        raise write_error(path, exc) from exc
    except MemoryError as exc:
        file.abandon(worth_keeping=False)
        raise SinkError(f"cannot write {path}: there is not enough memory for {len(tracks)} tracks") from exc
    return len(tracks)


def _points(table: TrackTable, min_length: int, every: int) -> Iterator[TrackPoints]:
    counts = table.frames % every == 0
    if "state" in table.columns:
        counts &= table.columns["state"] != "lost"
    table = table.where(counts)
    frames, xy, labels = table.frames, table.xy, table.columns.get("label")
    for track_id, rows in table.tracks():
        if len(rows) < min_length:
            continue
        label = "" if labels is None else " ".join(str(labels[rows[0]]).split())
        if not np.isfinite(xy[rows]).all():
            raise SourceError(f"track {track_id} has a position that is no number")
        yield TrackPoints(track_id, label or f"track{track_id}", frames[rows], xy[rows])
