"""What every source of frames offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from realtime_kp.frame import Frame


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source once it is open, before its first frame.

    Attributes:
        name: What to call it in messages; never holds credentials.
        size_wh: Width and height of its frames in pixels, None where only frames tell.
        fps: Its nominal frame rate, None where it does not say.
        frame_count: About how many frames will come, None where unknown or endless.
        live: Whether frames come in their own time and are lost if nobody takes them.
        still: Whether it is a set of pictures rather than a video.
        pixel_aspect: Width to height of a pixel as it is to be shown; None where square, or unsaid. Frames
            come as they are stored: keypoints count in stored pixels.
        begin_s: What the clock of a file tells where it begins.
    """

    name: str
    size_wh: tuple[int, int] | None
    fps: float | None
    frame_count: int | None
    live: bool
    still: bool = False
    pixel_aspect: Fraction | None = None
    begin_s: float = 0.0


class FrameSource(Protocol):
    """Frames in order. `__enter__` opens, iterating reads, `__exit__` releases; all in one thread.

    Attributes:
        damage: After the last frame, what was unreadable in the input; None where nothing was.
    """

    damage: str | None

    @property
    def info(self) -> SourceInfo:
        """What is known of the source; valid once it is open."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


@runtime_checkable
class ReturningSource(Protocol):
    """A source that may be lost for a while and come back.

    Attributes:
        lost_at_s: `time.perf_counter()` when it was lost; None while it is there.
    """

    lost_at_s: float | None

    def interrupt(self) -> None:
        """Wait for it no more; may be called from any thread."""
        ...
