"""What is kept of what is shown: recordings and snapshots."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import AppConfig
from realtime_kp.errors import SinkError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline
from realtime_kp.sinks import VideoFileSink, write_picture, write_track_rows

log = logging.getLogger(__name__)


def snapshot(image_bgr: NDArray[np.uint8], tracked: TrackedFrame) -> tuple[str, tuple[Path, ...]]:
    """Save the drawn frame and a table of its tracks in the working folder.

    Returns:
        A message for the HUD, the name of the picture or the reason of the failure; and the files.
    """
    first = f"snapshot_{stamp()}_f{tracked.frame.index}"
    stems = (first if number == 1 else f"{first}_{number}" for number in count(1))
    stem = next(name for name in stems if not Path(f"{name}.png").exists())
    picture, table = Path(f"{stem}.png"), Path(f"{stem}.csv")
    try:
        write_picture(picture, image_bgr)
        write_track_rows(table, tracked)
    except SinkError as exc:
        log.error("%s", exc)
        return "snapshot failed", ()
    log.info("saved %s and %s", picture, table)
    return f"saved {picture}", (picture, table)


class Recorder:
    """Recording of the displayed frames, switched on and off; each section is a file of its own.

    Args:
        config: `live.record` names the first file; without it recording starts switched off.

    Attributes:
        frames: Total number of recorded frames.
        finished: Files of the sections that were recorded so far.
    """

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._wanted = config.live.record is not None
        self._stack = ExitStack()
        self._sink: VideoFileSink | None = None
        self._files = 0
        self.frames = 0
        self.finished: list[Path] = []

    @property
    def on(self) -> bool:
        """Whether recording is on."""
        return self._wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def toggle(self) -> None:
        """Switch recording on or off; switching off closes the file."""
        self._wanted = not self._wanted
        if not self._wanted:
            self._stack.close()
            if self._sink is not None:
                self.finished.append(self._sink.path)
            self._sink = None

    def write(self, image_bgr: NDArray[np.uint8], tracked: TrackedFrame, pipeline: Pipeline) -> None:
        """Record a frame if recording is on."""
        if not self._wanted:
            return
        if self._sink is None:
            info, output = pipeline.source_info, self._config.output
            sink = VideoFileSink(
                self._next_path(),
                fps=info.fps if info else None,
                crf=output.crf,
                preset=output.preset,
                from_zero=True,
                pixel_aspect=info.pixel_aspect if info else None,
            )
            self._sink = self._stack.enter_context(sink)
            log.info("recording to %s", sink.path)
        self._sink.write(image_bgr, tracked)
        self.frames += 1

    def _next_path(self) -> Path:
        first = self._config.live.record
        self._files += 1
        if first is None:
            return Path(f"recording_{stamp()}_{self._files}.mp4")
        if self._files == 1:
            return first
        # Later sections never replace files, since their names were not chosen by the user.
        names = (first.with_name(f"{first.stem}_{number}{first.suffix}") for number in count(self._files))
        return next(name for name in names if not name.exists())


def stamp() -> str:
    """The time of day, for names of files."""
    return datetime.now().strftime("%Y%m%d_%H%M%S")
