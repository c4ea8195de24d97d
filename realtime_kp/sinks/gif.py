"""Short animations as GIF, by Pillow."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from realtime_kp.errors import SinkError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.base import PartialFile, write_error

_MOST_PIXELS = 2_000_000_000
_SHORTEST_MS, _LAST_MS = 20, 100  # viewers slow faster ones down


class GifSink:
    """Collects pictures, and writes them as an endless animation at their times on exit.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = 0
        self._file = PartialFile(path)
        self._images: list[Image.Image] = []
        self._times_s: list[float] = []
        self._pixels = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or not self._images:
            return
        steps_ms = np.round(np.diff(self._times_s) * 100) * 10
        durations = [*np.maximum(steps_ms, _SHORTEST_MS).astype(int).tolist(), _LAST_MS]
        first, *others = self._images
        try:
            with open(self._file.partial, "wb") as out:
                first.save(out, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
            self._file.commit()
        except OSError as exc:
            self._file.abandon(worth_keeping=False)
            raise write_error(self.path, exc) from exc

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Add a picture.

        Raises:
            SinkError: The animation becomes too large for memory.
        """
        if image_bgr is None:
            return
        self._pixels += image_bgr.shape[0] * image_bgr.shape[1]
        if self._pixels > _MOST_PIXELS:
            raise SinkError(f"{self.path} would become too large after {self.frames} pictures: write an .mp4")
        image = Image.fromarray(np.ascontiguousarray(image_bgr[..., ::-1]))
        self._images.append(image.quantize(255, dither=Image.Dither.NONE))
        self._times_s.append(tracked.frame.time_s)
        self.frames += 1
