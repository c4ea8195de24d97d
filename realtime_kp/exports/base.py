"""What every export format is given, and what it has to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens import Lens


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The video that tracks belong to.

    Attributes:
        size_wh: Width and height, pixels.
        fps: Frame rate.
        frames: Number of frames, at least that of the last one with a track.
        times_ns: `(frames,) int64`, time of each frame by the clock of its source, nanoseconds.
        name: Its name or path, as the table tells it; empty where unknown.
        video: The video itself, for formats that keep pictures; None without them.
        lens: Its lens at this size; None where unknown.
        first: The first frame with a track.
        every: From there on, every Nth frame counts.
        start_s: Second of the video at which its frame 0 is.
    """

    size_wh: tuple[int, int]
    fps: float
    frames: int
    times_ns: NDArray[np.int64]
    name: str
    video: str | None = None
    lens: Lens | None = None
    first: int = 0
    every: int = 1
    start_s: float = 0.0

    @property
    def counted(self) -> NDArray[np.int64]:
        """The frames that count, ascending, those without a track included."""
        return np.arange(self.first, self.frames, self.every)


@dataclass(frozen=True, slots=True, eq=False)
class TrackPoints:
    """Where one track was seen.

    Attributes:
        id: Its id.
        name: Its label, or `track` with its id.
        frames: `(N,) int64`, ascending, from 0.
        xy: `(N, 2) float64`, pixels; the centre of the top left pixel is at (0, 0), y points down.
    """

    id: int
    name: str
    frames: NDArray[np.int64]
    xy: NDArray[np.float64]


class FileExport(Protocol):
    """Writes one file, which the caller opens and closes.

    Attributes:
        suffix: How the file's name ends.
    """

    suffix: str

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Start with a clip of `count` tracks."""
        ...

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Add a track."""
        ...

    def end(self, out: BinaryIO) -> None:
        """Finish."""
        ...


@runtime_checkable
class FolderExport(Protocol):
    """Writes into a new folder, which appears under its name when it is whole.

    Attributes:
        suffix: Empty: a folder has none.
        entries: Names of all that it writes, or patterns of them.
        most_frames: Number of frames that it takes where none is asked for.
    """

    suffix: str
    entries: tuple[str, ...]
    most_frames: int

    def begin(self, clip: Clip, count: int, folder: Path) -> None:
        """Start with a clip of `count` tracks."""
        ...

    def track(self, points: TrackPoints, folder: Path) -> None:
        """Add a track."""
        ...

    def end(self, folder: Path) -> None:
        """Finish."""
        ...


def runs(frames: NDArray[np.int64], every: int) -> list[tuple[int, int]]:
    """First and last frame of each run of frames that follow each other, where every Nth counts."""
    ends = np.flatnonzero(np.diff(frames) > every)
    first = frames[np.concatenate([[0], ends + 1])]
    last = frames[np.concatenate([ends, [len(frames) - 1]])]
    return list(zip(first.tolist(), last.tolist(), strict=True))


def from_bottom_left(xy: NDArray[np.float64], height: int) -> NDArray[np.float64]:
    """Positions `(N, 2)` from the lower left corner of the picture, y up: centres of pixels are at halves."""
    return np.stack([xy[:, 0] + 0.5, height - (xy[:, 1] + 0.5)], axis=1)


def from_top_left(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions `(N, 2)` from the upper left corner of the picture: centres of pixels are at halves."""
    return xy + 0.5
