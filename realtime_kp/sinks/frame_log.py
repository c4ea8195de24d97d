"""Frame log: one JSON line per frame with counts and stage times."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.base import reopen_at, write_error
from realtime_kp.timing import StageTimes


class FrameLog:
    """Appends one line per finished frame.

    Since each line is complete, the file has its final name from the start.

    Args:
        path: The file.
        resume: Size in bytes, from `mark`, after which the file of an earlier run is continued.
    """

    def __init__(self, path: Path, resume: int | None = None) -> None:
        self.path = path
        self._resume = resume
        self._out: IO[str] | None = None

    def __enter__(self) -> Self:
        if self._resume is not None:
            self._out = reopen_at(self.path, self._resume)
            return self
        try:
            self._out = open(self.path, "w", encoding="utf-8")
        except OSError as exc:
            raise write_error(self.path, exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._out is None:
            return
        try:
            self._out.close()
        except OSError as exc:
            if error is None:
                raise write_error(self.path, exc) from exc

    @property
    def mark(self) -> int:
        """Size of the log, bytes, after flushing."""
        assert self._out is not None
        self._out.flush()
        return self._out.tell()

    def write(self, tracked: TrackedFrame, times_ms: StageTimes) -> None:
        """Add one frame with all stage times.

        Raises:
            SinkError: The file cannot be written.
        """
        assert self._out is not None
        line = {
            "frame": tracked.frame.index,
            "time_s": round(tracked.frame.time_s, 9),
            "time_ns": tracked.frame.time_ns,
            "keypoints": None if tracked.found is None else len(tracked.found),
            "detection_age": tracked.detection_age,
            "tracks": len(tracked.tracks.seen_confirmed),
            "ms": {stage: round(ms, 3) for stage, ms in asdict(times_ms).items() if ms is not None},
        }
        try:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()
        except OSError as exc:
            raise write_error(self.path, exc) from exc
