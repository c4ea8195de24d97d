"""Interface of the sources."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame


def address_of(spec: object) -> str:
    """A specification as text, in which a `Path` is always a file or folder, one called `7` or `demo` too.

    Raises:
        SourceError: It is neither text that may name something, nor a camera index, nor a `Path`.
    """
    if isinstance(spec, str | Path):
        text = str(spec)
        if text and "\0" not in text:
            return text if isinstance(spec, str) else os.path.join(os.curdir, text)
    elif isinstance(spec, int) and not isinstance(spec, bool) and spec >= 0:
        return str(spec)
    got = " ".join(repr(spec).splitlines())
    raise SourceError(f"a source is a camera index from 0, a name, an address or a Path, got {got}")


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Properties of an open source, known before its first frame.

    Attributes:
        name: Name for messages; never contains credentials.
        size_wh: Width and height of its frames in pixels; None where only frames tell.
        fps: Nominal frame rate; None where unknown.
        frame_count: Approximate number of frames; None where unknown or endless.
        live: Whether frames arrive in real time and are lost if they are not read.
        still: Whether it is a set of pictures rather than a video.
        pixel_aspect: Width to height of a pixel in display; None where square or unknown. Frames are
            delivered as stored: keypoints are in stored pixels.
        begin_s: Time of the first frame on the clock of a file; `Frame.time_s` counts from there.
    """

    name: str
    size_wh: tuple[int, int] | None
    fps: float | None
    frame_count: int | None
    live: bool
    still: bool = False
    pixel_aspect: Fraction | None = None
    begin_s: float = 0.0


def while_open(info: SourceInfo | None) -> SourceInfo:
    """The properties of a source that has them only while it is open.

    Raises:
        RuntimeError: It is not open.
    """
    if info is None:
        raise RuntimeError("info is available only while the source is open")
    return info


class FrameSource(Protocol):
    """Frames in order. `__enter__` opens, iterating reads, `__exit__` releases; all on one thread.

    Attributes:
        damage: After the last frame, a description of unreadable parts of the input; None where there were
            none.
    """

    damage: str | None

    @property
    def info(self) -> SourceInfo:
        """Properties of the source; valid while it is open."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


class KnownScene(Protocol):
    """A generated scene whose motion is known.

    Attributes:
        size_wh: Width and height of its frames in pixels.
    """

    size_wh: tuple[int, int]

    def render(self, index: int) -> NDArray[np.uint8]:
        """Render frame `index`: `(H, W, 3) uint8`, BGR."""
        ...

    def truth(
        self, i: int, j: int, xy: NDArray[np.float32] | NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Ground truth: positions in frame `j` of points of frame `i`, and whether they are visible there.

        Args:
            i: Frame in which the points were seen.
            j: Frame in which they are wanted.
            xy: `(N, 2)`, positions in frame `i`, pixels.

        Returns:
            `(N, 2) float32` and `(N,) bool`.
        """
        ...

    def depth_edges(self, index: int, xy: NDArray[np.float32], reach_px: float) -> NDArray[np.bool_]:
        """`(N,) bool`: which points `(N, 2)` of a frame have something at another depth within a distance."""
        ...


@runtime_checkable
class ReturningSource(Protocol):
    """A source that may be lost for a while and reconnect.

    Attributes:
        lost_at_s: `time.perf_counter()` when it was lost; None while it is connected.
    """

    lost_at_s: float | None

    def interrupt(self) -> None:
        """Stop waiting for the source; may be called from any thread."""
        ...
