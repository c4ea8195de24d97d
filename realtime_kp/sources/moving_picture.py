"""Picture files that hold several pictures: APNG, animated WebP, AVIF sequences, TIFF of several pages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo, while_open
from realtime_kp.sources.picture_file import is_deep, opened_picture, to_bgr
from realtime_kp.sources.value_range import ValueRange

# JPEGs of several pictures hold a second view or a map of depths.
_MOVING_FORMATS = frozenset({"PNG", "WEBP", "AVIF", "TIFF", "GIF"})
_UNTIMED_FORMATS = frozenset({"TIFF"})
_USUAL_MS = 100.0  # what browsers take where a picture names no time
_SAMPLED_PAGES = 9
_SUBFILE_TAG, _REDUCED = 254, 1


def is_moving_picture(path: Path) -> bool:
    """Whether a picture file holds several pictures that belong in a row."""
    try:
        with opened_picture(path, InputConfig().max_pixels) as picture:
            return len(_pages(picture)) > 1
    except SourceError:
        return False


class MovingPictureSource:
    """The pictures of one file in a row, at the times that it names.

    Args:
        path: The file.
        fps: Rate of formats without times.
        start_s: Where to start, seconds.
        max_pixels: Pictures that declare more are refused before decoding.
        value_range: Values shown as black and white, of more than eight bits; None finds them.
    """

    def __init__(
        self,
        path: Path,
        *,
        fps: float = InputConfig().picture_fps,
        start_s: float = 0.0,
        max_pixels: int = InputConfig().max_pixels,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        self.path = path
        self.fps = fps
        self.start_s = start_s
        self.max_pixels = max_pixels
        self.damage: str | None = None
        self._values = ValueRange(str(path), value_range)
        self._info: SourceInfo | None = None

    @property
    def info(self) -> SourceInfo:
        """Properties of the source; valid while it is open."""
        return while_open(self._info)

    def __enter__(self) -> Self:
        with opened_picture(self.path, self.max_pixels) as picture:
            count = len(_pages(picture))
            step_s = self._shown_s(picture)
            self._info = SourceInfo(str(self.path), picture.size, 1 / step_s, count, live=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._info = None

    def __iter__(self) -> Iterator[Frame]:
        index, time_s = 0, 0.0
        with opened_picture(self.path, self.max_pixels) as picture:
            pages = _pages(picture)
            self._learn_values(picture, pages)
            for page in pages:
                picture.seek(page)
                if time_s >= self.start_s - 1e-6:
                    image = to_bgr(picture, self._values)
                    yield Frame(index, time_s, time.perf_counter(), image)
                    index += 1
                time_s += self._shown_s(picture)
        if index == 0:
            raise SourceError(f"{self.path} holds no frames after second {self.start_s:g}")

    def _learn_values(self, picture: Any, pages: list[int]) -> None:
        if is_deep(picture) and not self._values.known:
            found = []
            for page in pages[:: max(1, len(pages) // _SAMPLED_PAGES)]:
                picture.seek(page)
                found.append(np.asarray(picture))
            self._values.learn(found)

    def _shown_s(self, picture: Any) -> float:
        if picture.format in _UNTIMED_FORMATS:
            return 1 / self.fps
        return float(picture.info.get("duration") or _USUAL_MS) / 1000


def _pages(picture: Any) -> list[int]:
    """Numbers of the pictures in an open file that are of the size of the first one, thumbnails left out."""
    count = getattr(picture, "n_frames", 1)
    if count == 1 or picture.format not in _MOVING_FORMATS:
        return [0]
    if picture.format not in _UNTIMED_FORMATS:
        return list(range(count))
    size, pages = picture.size, []
    for page in range(count):
        picture.seek(page)
        if picture.size == size and not int(picture.tag_v2.get(_SUBFILE_TAG, 0)) & _REDUCED:
            pages.append(page)
    picture.seek(0)
    return pages or [0]
