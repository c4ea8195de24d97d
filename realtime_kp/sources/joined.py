"""Several videos as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from realtime_kp.errors import ArgumentError, SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import FrameSource, SourceInfo, while_open
from realtime_kp.sources.natural_order import natural_key

_USUAL_INTERVAL_S = 1 / 30
_LONGEST_GAP_S = 10.0  # what recorders lose between two parts; clocks farther apart begin anew in each


class JoinedSource:
    """The frames of one part after the other, numbered and timed as those of one video.

    Where the clock of a part goes on from that of the one before it, as in transport streams that a recorder
    cuts up, times are those of that clock; otherwise a part follows at once.

    Args:
        parts: Make the parts, in their order; each is opened when its turn comes.
        start_s: Frames before this time are passed over.

    Raises:
        ArgumentError: There are none.
    """

    def __init__(self, parts: Sequence[Callable[[], FrameSource]], start_s: float = 0.0) -> None:
        if not parts:
            raise ArgumentError("a joined source needs parts, got none")
        self.damage: str | None = None
        self._parts = parts
        self._start_s = start_s
        self._info: SourceInfo | None = None

    @property
    def info(self) -> SourceInfo:
        """Properties of the first part; how many frames there are in all is not known."""
        return while_open(self._info)

    def __enter__(self) -> Self:
        with self._parts[0]() as first:
            info = first.info
        self._info = replace(info, name=f"{info.name} and {len(self._parts) - 1} more", frame_count=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._info = None

    def __iter__(self) -> Iterator[Frame]:
        index, next_s = 0, 0.0
        interval_s = 1 / self.info.fps if self.info.fps else _USUAL_INTERVAL_S
        damages: list[str] = []
        for make in self._parts:
            with make() as part:
                begin_s = part.info.begin_s - self.info.begin_s
                goes_on = -interval_s / 2 <= begin_s - next_s <= _LONGEST_GAP_S
                shift_s = begin_s if goes_on else next_s
                for frame in part:
                    time_s = frame.time_s + shift_s
                    next_s = time_s + interval_s
                    if time_s >= self._start_s - 1e-6:
                        yield replace(frame, index=index, time_s=time_s)
                        index += 1
                damages += [part.damage] if part.damage else []
        if index == 0:
            raise SourceError(f"{self.info.name} hold no frames after second {self._start_s:g}")
        self.damage = "; ".join(damages) or None


def part_order(names: Sequence[str]) -> list[str]:
    """The order of parts: as they were given, but as their numbers say where a shell has sorted them as text.

    Args:
        names: Such as `part1.ts`, `part10.ts`, `part2.ts`, which `part*.ts` gives.
    """
    by_number = sorted(names, key=natural_key)
    return by_number if list(names) == sorted(names) else list(names)
