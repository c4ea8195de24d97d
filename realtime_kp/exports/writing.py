"""Writes a tracks table in another format."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.exports.base import Clip, FileExport, FolderExport, TrackPoints
from realtime_kp.exports.formats import FORMATS
from realtime_kp.exports.track_table import NEEDED, USUAL_FPS, TrackTable
from realtime_kp.lens import LensFile
from realtime_kp.sinks.base import PartialFile, check_output, write_error

# Columns of a table that exports look at, besides those that every table has.
EXPORTED = ("time_s", "time_ns", "state", "label")

log = logging.getLogger(__name__)


def check_export(name: str, path: Path, *, overwrite: bool = True, inputs: Iterable[str] = ()) -> None:
    """Check before any work that there is such a format, and that it can be written.

    Args:
        name: The format.
        path: The file or folder.
        overwrite: Whether an existing one may be replaced.
        inputs: Sources of the run; they are never overwritten.

    Raises:
        ConfigError: The format is unknown, needs a package, or the suffix is another one's.
        SinkError: The file or folder exists, or cannot be written.
    """
    export = _made(name)
    suffix = export.suffix
    if path.suffix.lower() != suffix:
        kind = f"is written as {suffix}" if suffix else "is a folder, without a suffix"
        raise ConfigError(f"{name} {kind}, got {path.name!r}")
    if not isinstance(export, FolderExport) or not path.is_dir():
        check_output(path, overwrite=overwrite, inputs=inputs)
        return
    if not overwrite:
        raise SinkError(f"{path} exists already; add --overwrite to replace it, or choose another name")
    # What COLMAP has made of an export since must not vanish with it.
    names = [entry.name for entry in path.iterdir()]
    others = sorted(name for name in names if not any(fnmatchcase(name, one) for one in export.entries))
    if others:
        raise SinkError(f"{path} holds more than an export, such as {others[0]}; choose another name")


def export_tracks(
    table: TrackTable,
    name: str,
    path: Path,
    *,
    size_wh: tuple[int, int] | None = None,
    min_length: int = 2,
    every: int | None = None,
    video: str | None = None,
    lens: LensFile | None = None,
) -> int:
    """Write a table in another format; file or folder appear when they are whole.

    Args:
        table: The tracks. Rows of lost tracks, which are predictions, are left out.
        name: One of `FORMATS`.
        path: The file or folder.
        size_wh: Width and height of the frames; None takes those that the table tells.
        min_length: Tracks seen in fewer of the frames that count are left out.
        every: Of the frames from the first one with tracks on, every Nth counts; None takes all that the
            format can use.
        video: The video, for formats that keep pictures.
        lens: The lens, for formats that know lenses.

    Returns:
        Number of tracks written.

    Raises:
        ConfigError: The format is unknown, needs a package, or the suffix is another one's.
        SourceError: The table holds no such tracks, or does not tell the size of the frames; or the video is
            another one.
        SinkError: The file or folder cannot be written.
    """
    check_export(name, path)
    export = _made(name)
    if every is None:
        every = _usual_step(table, export)
    clip = _clip_of(table, size_wh, video, lens, every)
    tracks = list(_points(table, min_length, every))
    del table  # of a million rows it is large, and nobody may need it any more
    if not tracks:
        raise SourceError(f"no track was seen in {min_length} frames or more: give a smaller --min-length")
    try:
        if isinstance(export, FolderExport):
            _write_folder(export, clip, tracks, path)
        else:
            _write_file(export, clip, tracks, path)
    except MemoryError as exc:
        raise SinkError(f"cannot write {path}: there is not enough memory for {len(tracks)} tracks") from exc
    return len(tracks)


def _made(name: str) -> FileExport | FolderExport:
    if name not in FORMATS:
        raise ConfigError(f"there is no export format {name!r}, but {', '.join(FORMATS)}")
    return FORMATS[name]()


def _usual_step(table: TrackTable, export: FileExport | FolderExport) -> int:
    if not isinstance(export, FolderExport) or len(table) == 0:
        return 1
    frames = int(table.frames.max() - table.frames.min()) + 1
    step = -(-frames // export.most_frames)
    if step > 1:
        log.info("every %dth frame is exported, %d of them: --every N takes others", step, -(-frames // step))
    return step


def _clip_of(
    table: TrackTable, size_wh: tuple[int, int] | None, video: str | None, lens: LensFile | None, every: int
) -> Clip:
    if len(table) == 0:
        raise SourceError("the table holds no tracks")
    if size_wh is not None and table.size_wh not in (None, size_wh):
        had, got = ("x".join(map(str, size)) for size in (table.size_wh or size_wh, size_wh))
        raise ConfigError(f"the table tells that its frames are of {had}, --size is {got}")
    size_wh = size_wh or table.size_wh
    if size_wh is None:
        raise SourceError("the table does not tell the size of the frames: give --size WxH")
    frames = int(table.frames.max()) + 1
    return Clip(
        size_wh,
        table.fps or USUAL_FPS,
        frames,
        table.times_ns(frames),
        str(table.notes.get("source") or ""),
        video,
        None if lens is None else lens.of_size(size_wh),
        int(table.frames.min()),
        every,
        table.start_s,
    )


def _write_file(export: FileExport, clip: Clip, tracks: list[TrackPoints], path: Path) -> None:
    file = PartialFile(path)
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
    except BaseException:
        file.abandon(worth_keeping=False)
        raise


def _write_folder(export: FolderExport, clip: Clip, tracks: list[TrackPoints], path: Path) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir()
        try:
            export.begin(clip, len(tracks), partial)
            for points in tracks:
                export.track(points, partial)
            export.end(partial)
            if path.exists():
                shutil.rmtree(path)
            partial.replace(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except OSError as exc:
        raise write_error(path, exc) from exc


def _points(table: TrackTable, min_length: int, every: int) -> Iterator[TrackPoints]:
    counts = (table.frames - table.frames.min()) % every == 0
    if "state" in table.columns:
        counts &= table.columns["state"] != "lost"
    kept = {name: table.columns[name] for name in (*NEEDED, "label") if name in table.columns}
    table = TrackTable(kept, table.notes).where(counts)
    frames, xy, labels = table.frames, table.xy, table.columns.get("label")
    for track_id, rows in table.tracks():
        if len(rows) < min_length:
            continue
        label = "" if labels is None else " ".join(str(labels[rows[0]]).split())
        if not np.isfinite(xy[rows]).all():
            raise SourceError(f"track {track_id} has a position that is no number")
        yield TrackPoints(track_id, label or f"track{track_id}", frames[rows], xy[rows])
