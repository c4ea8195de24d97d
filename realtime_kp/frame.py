"""One picture of a source, with its place and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as its source delivered it. The image is not modified after hand-over.

    Attributes:
        index: Counts the frames that the source delivered, from 0.
        time_s: The source's own timestamp: presentation time for files, capture clock for cameras.
        captured_at_s: `time.perf_counter()` at grab; for paced sources the moment the frame was due.
        image_bgr: `(H, W, 3) uint8`, blue-green-red as OpenCV has it.
        origin: The file this frame came from, where the source is a set of pictures; else empty.
        session: How often a live source was opened again before it; nothing ties two sessions together.
    """

    index: int
    time_s: float
    captured_at_s: float
    image_bgr: NDArray[np.uint8]
    origin: str = ""
    session: int = 0

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"a frame's index counts from 0, got {self.index}")
        if not math.isfinite(self.time_s):
            raise ValueError(f"a frame's time_s must be finite, got {self.time_s}")
        image = self.image_bgr
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ValueError(f"image_bgr must be (H, W, 3) uint8, got {image.shape} {image.dtype}")

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image_bgr.shape[1], self.image_bgr.shape[0]
