"""A source and a sink of your own: `python own_source_and_sink.py OUT.txt [FRAMES]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TextIO

import cv2
import numpy as np

import realtime_kp as rk
from realtime_kp.sources import SourceInfo


class TurningPicture:
    """Frames of a random picture that turns: anything with these methods is a source."""

    def __init__(self, frames: int, size_wh: tuple[int, int] = (480, 360)) -> None:
        self.damage: str | None = None
        self._frames = frames
        self._size_wh = size_wh
        noise = np.random.default_rng(0).integers(0, 255, (size_wh[1] // 6, size_wh[0] // 6, 3), np.uint8)
        self._picture = cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC)

    @property
    def info(self) -> SourceInfo:
        """What is known before the first frame."""
        return SourceInfo("a turning picture", self._size_wh, 25.0, self._frames, live=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[rk.Frame]:
        width, height = self._size_wh
        for index in range(self._frames):
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), index * 0.5, 1.0)
            image = cv2.warpAffine(self._picture, turn, self._size_wh)
            yield rk.Frame(index, index / 25, time.perf_counter(), image)


class TextSink:
    """Writes the longest track of each frame as a line of text."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._file = open(self._path, "w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, result: rk.TrackedFrame) -> None:
        """Add a frame."""
        longest = max(result.tracks.confirmed, key=lambda track: track.length, default=None)
        if longest is not None and self._file is not None:
            self._file.write(f"{result.frame.index} {longest.id} {longest.x:.2f} {longest.y:.2f}\n")


def main(out: str, frames: str = "60") -> None:
    """Track the source and write the file."""
    with TextSink(out) as sink:
        for result in rk.track(TurningPicture(int(frames))):
            sink.write(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
