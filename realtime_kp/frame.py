"""One frame of a source, with its index and timestamps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as delivered by its source. The image must not be modified afterwards.

    Attributes:
        index: Position among the frames that the source delivered, from 0.
        time_s: Timestamp of the source in seconds, from 0 at the first frame that a file shows: presentation
            time for files, capture clock for cameras.
        captured_at_s: `time.perf_counter()` at capture; for paced sources the time the frame was due.
        image_bgr: `(H, W, 3) uint8`, channels blue, green, red as in OpenCV.
        origin: File of this frame if the source is a set of pictures; otherwise empty.
        session: Number of times a live source was reopened, or the clock of a file jumped, before this frame.
            Tracks do not continue across sessions.
        damaged: Whether the decoder says that parts of it are wrong; no track starts in such a frame.
    """

    index: int
    time_s: float
    captured_at_s: float
    image_bgr: NDArray[np.uint8]
    origin: str = ""
    session: int = 0
    damaged: bool = False

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"a frame's index must be at least 0, got {self.index}")
        if not math.isfinite(self.time_s):
            raise ValueError(f"a frame's time_s must be finite, got {self.time_s}")
        image = self.image_bgr
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ValueError(f"image_bgr must be (H, W, 3) uint8, got {image.shape} {image.dtype}")

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image_bgr.shape[1], self.image_bgr.shape[0]
