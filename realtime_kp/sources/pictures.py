"""A picture, a folder or a glob of pictures as a source."""

from __future__ import annotations

import glob
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo
from realtime_kp.sources.picture_file import PICTURE_SUFFIXES, read_picture

log = logging.getLogger(__name__)


class PicturesSource:
    """Pictures in natural order of their names, with EXIF orientation applied; sizes may differ.

    Unreadable pictures are skipped with a warning and listed in `damage`.
    """

    def __init__(
        self,
        location: str | Path,
        *,
        fps: float = 10.0,
        start_s: float = 0.0,
        max_pixels: int = InputConfig().max_pixels,
    ) -> None:
        self.max_pixels = max_pixels
        self.location = location
        self.fps = fps
        self.start_s = start_s
        self.damage: str | None = None
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
        index, unread = 0, 0
        for path in self._paths:
            try:
                image = read_picture(path, self.max_pixels)
            except SourceError as exc:
                if len(self._paths) == 1:
                    raise
                log.warning("%s", exc)
                unread += 1
                continue
            yield Frame(index, (self._first + index) / self.fps, time.perf_counter(), image, origin=str(path))
            index += 1
        if unread and index == 0:
            raise SourceError(f"none of the {unread} pictures of {self.location} can be read")
        if unread:
            self.damage = f"{self.location}: {unread} of {index + unread} pictures could not be read"


def list_pictures(location: str | Path) -> list[Path]:
    """List the pictures of a folder, a glob or a file name, in natural order of their names.

    Raises:
        SourceError: There is none.
    """
    path = Path(location)
    if os.path.isdir(path):
        found = [p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file()]
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
        matches = (Path(p) for p in glob.glob(os.path.join(folder, path.name)))
        found = [p for p in matches if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file()]
        if not found:
            raise SourceError(f"no picture matches {location}")
    return sorted(found, key=lambda p: (_natural(p.name), str(p)))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
