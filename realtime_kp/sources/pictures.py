"""A picture, a folder or a glob of pictures as a source."""

from __future__ import annotations

import glob
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo
from realtime_kp.sources.moving_picture import is_moving_picture
from realtime_kp.sources.picture_file import PICTURE_SUFFIXES, deep_values, read_picture
from realtime_kp.sources.value_range import ValueRange

log = logging.getLogger(__name__)

_SAMPLED_PICTURES = 9
_UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".jxl", ".exr", ".dng", ".cr2", ".nef", ".arw"})


class PicturesSource:
    """Pictures in natural order of their names, with EXIF orientation applied; sizes may differ.

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
        self._paths: list[Path] | None = None
        self._first = 0

    @property
    def info(self) -> SourceInfo:
        """Properties of the source; valid while it is open."""
        if self._paths is None:
            raise RuntimeError("info is available only while the source is open")
        fps = self.fps if len(self._paths) > 1 else None
        return SourceInfo(str(self.location), None, fps, len(self._paths), live=False, still=True)

    def __enter__(self) -> Self:
        paths = list_pictures(self.location)
        self._first = round(self.start_s * self.fps)
        self._paths = paths[self._first :]
        if not self._paths:
            raise SourceError(f"{self.location} holds no pictures after second {self.start_s:g}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paths = None

    def __iter__(self) -> Iterator[Frame]:
        assert self._paths is not None
        self._learn_values(self._paths)
        unread, told = 0, len(self._paths) == 1
        for index, path in enumerate(self._paths):
            try:
                image = read_picture(path, self.max_pixels, self._values)
            except SourceError as exc:
                if len(self._paths) == 1:
                    raise
                log.warning("%s", exc)
                unread += 1
                continue
            if not told and is_moving_picture(path):
                told = True
                log.warning(
                    "%s holds several pictures: in a set the first of each is taken, a file "
                    "given alone is played",
                    path,
                )
            time_s = (self._first + index) / self.fps
            yield Frame(index, time_s, time.perf_counter(), image, origin=str(path))
        count = len(self._paths)
        if unread == count:
            raise SourceError(f"none of the {unread} pictures of {self.location} can be read")
        if unread:
            self.damage = f"{self.location}: {unread} of {count} pictures could not be read"

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

    Hidden files are left out. Links that lead nowhere, and pictures in formats that cannot be read, are said.

    Raises:
        SourceError: There is none.
    """
    path = Path(location)
    if os.path.isdir(path):
        found = _pictures_among(path.iterdir())
        if not found:
            kinds = " ".join(sorted(PICTURE_SUFFIXES))
            raise SourceError(f"the folder {location} holds no pictures ({kinds})")
    elif os.path.exists(path):
        if not path.is_file():
            raise SourceError(f"{path} is not a regular file")
        found = [path]
    else:
        # Of a folder that exists, brackets are part of the name.
        folder = glob.escape(str(path.parent)) if path.parent.is_dir() else str(path.parent)
        found = _pictures_among(Path(p) for p in glob.glob(os.path.join(folder, path.name)))
        if not found:
            raise SourceError(f"no picture matches {location}")
    return sorted(found, key=lambda p: (_natural(p.name), str(p)))


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


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
