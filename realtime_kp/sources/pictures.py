"""A picture, a folder or a glob of pictures as a source."""

from __future__ import annotations

import glob
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo
from realtime_kp.sources.moving_picture import is_moving_picture
from realtime_kp.sources.natural_order import natural_key
from realtime_kp.sources.picture_file import PICTURE_SUFFIXES, deep_values, read_picture
from realtime_kp.sources.timed_pictures import TimedPictures, is_picture_list, timed_pictures
from realtime_kp.sources.value_range import ValueRange

log = logging.getLogger(__name__)

_SAMPLED_PICTURES = 9
_UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".jxl", ".exr", ".dng", ".cr2", ".nef", ".arw"})


@dataclass(frozen=True, slots=True)
class _Listed:
    """A picture, its time from the first one on, and its time by the clock of a data set."""

    path: Path
    time_s: float
    stamp_ns: int | None


class PicturesSource:
    """Pictures in natural order of their names, with EXIF orientation applied; sizes may differ.

    Those of a data set come in the order of their times, and have them; see `timed_pictures`.
    Unreadable pictures are skipped with a warning and listed in `damage`; their numbers and times stay free.
    Values of more than eight bits have one range for all pictures.
    """

    def __init__(
        self,
        location: str | Path,
        *,
        fps: float = 10.0,
        start_s: float = 0.0,
        max_pixels: int = InputConfig().max_pixels,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        self.max_pixels = max_pixels
        self.location = location
        self.fps = fps
        self.start_s = start_s
        self.damage: str | None = None
        self._values = ValueRange(str(location), value_range)
        self._pictures: list[_Listed] | None = None

    @property
    def info(self) -> SourceInfo:
        """Properties of the source; valid while it is open."""
        if self._pictures is None:
            raise RuntimeError("info is available only while the source is open")
        count = len(self._pictures)
        first = self._pictures[0]
        begin_s = 0.0 if first.stamp_ns is None else first.stamp_ns / 1e9 - first.time_s
        return SourceInfo(
            str(self.location), None, self._rate(), count, live=False, still=True, begin_s=begin_s
        )

    def __enter__(self) -> Self:
        timed = _timed(self.location)
        if timed is None:
            paths = list_pictures(self.location)
            every = [_Listed(path, index / self.fps, None) for index, path in enumerate(paths)]
        else:
            for remark in timed.remarks:
                log.warning("%s", remark)
            zero_ns = timed.pictures[0].stamp_ns
            every = [
                _Listed(one.path, (one.stamp_ns - zero_ns) / 1e9, one.stamp_ns) for one in timed.pictures
            ]
        first_s = round(self.start_s * self.fps) / self.fps if timed is None else self.start_s
        self._pictures = [picture for picture in every if picture.time_s >= first_s - 1e-9]
        if not self._pictures:
            raise SourceError(f"{self.location} holds no pictures after second {self.start_s:g}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pictures = None

    def __iter__(self) -> Iterator[Frame]:
        assert self._pictures is not None
        self._learn_values([picture.path for picture in self._pictures])
        unread, count = 0, len(self._pictures)
        told = count == 1
        for index, picture in enumerate(self._pictures):
            path = picture.path
            try:
                image = read_picture(path, self.max_pixels, self._values)
            except SourceError as exc:
                if count == 1:
                    raise
                # Of what a list names and is missing was told when it was read.
                log.log(logging.DEBUG if _is_missing(picture) else logging.WARNING, "%s", exc)
                unread += 1
                continue
            if not told and is_moving_picture(path):
                told = True
                log.warning(
                    "%s holds several pictures: in a set the first of each is taken, a file "
                    "given alone is played",
                    path,
                )
            now_s = time.perf_counter()
            yield Frame(index, picture.time_s, now_s, image, origin=str(path), stamp_ns=picture.stamp_ns)
        if unread == count:
            raise SourceError(f"none of the {unread} pictures of {self.location} can be read")
        if unread:
            self.damage = f"{self.location}: {unread} of {count} pictures could not be read"

    def _rate(self) -> float | None:
        """Frame rate: the one that was asked for, of data sets that of the median interval."""
        pictures = self._pictures or []
        if len(pictures) < 2:
            return None
        if pictures[0].stamp_ns is None:
            return self.fps
        return 1 / median(after.time_s - before.time_s for before, after in pairwise(pictures))

    def _learn_values(self, paths: list[Path]) -> None:
        """Take the range of deep values from pictures all over the sequence, so that it holds for all."""
        if self._values.known:
            return
        found = []
        for path in paths[:: max(1, len(paths) // _SAMPLED_PICTURES)]:
            try:
                values = deep_values(path, self.max_pixels)
            except SourceError:
                continue
            if values is None:
                return
            found.append(values)
        self._values.learn(found)


def list_pictures(location: str | Path) -> list[Path]:
    """List the pictures of a folder, a glob or a file name, in natural order of their names.

    Those of a data set come in the order of their times.

    Hidden files are left out. Links that lead nowhere, and pictures in formats that cannot be read, are said.

    Raises:
        SourceError: There is none.
    """
    path = Path(location)
    timed = _timed(location)
    if timed is not None:
        return [picture.path for picture in timed.pictures]
    if os.path.isdir(path):
        return _pictures_in(path)
    if os.path.exists(path):
        if not path.is_file():
            raise SourceError(f"{path} is not a regular file")
        return [path]
    # Of a folder that exists, brackets are part of the name.
    folder = glob.escape(str(path.parent)) if path.parent.is_dir() else str(path.parent)
    found = _pictures_among(Path(p) for p in glob.glob(os.path.join(folder, path.name)))
    if not found:
        what = "no picture matches" if glob.has_magic(path.name) else "there is no file"
        raise SourceError(f"{what} {location}")
    return _sorted(found)


def _timed(location: str | Path) -> TimedPictures | None:
    path = Path(location)
    if os.path.isdir(path) or (is_picture_list(path) and os.path.isfile(path)):
        return timed_pictures(path, _pictures_in)
    return None


def _is_missing(picture: _Listed) -> bool:
    return picture.stamp_ns is not None and not os.path.exists(picture.path)


def _pictures_in(folder: Path) -> list[Path]:
    found = _pictures_among(folder.iterdir())
    if not found:
        kinds = " ".join(sorted(PICTURE_SUFFIXES))
        raise SourceError(f"the folder {folder} holds no pictures ({kinds})")
    return _sorted(found)


def _sorted(paths: list[Path]) -> list[Path]:
    return sorted(paths, key=lambda p: (natural_key(p.name), str(p)))


def _pictures_among(paths: Iterable[Path]) -> list[Path]:
    """The pictures among files, by their names."""
    found, foreign = [], []
    for path in paths:
        suffix = path.suffix.lower()
        if path.name.startswith("."):
            continue
        if suffix in PICTURE_SUFFIXES:
            if os.path.isfile(path):
                found.append(path)
            elif os.path.islink(path):
                log.warning("%s is a link that leads nowhere: left out", path)
        elif suffix in _UNREAD_SUFFIXES:
            foreign.append(path.name)
    if foreign:
        log.warning(
            "%d pictures are in a format that is not read, such as %s: left out", len(foreign), foreign[0]
        )
    return found
