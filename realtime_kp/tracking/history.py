"""Past frames and the track positions in them, for detections that arrive late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.frame import Frame
from realtime_kp.tracking.table import AlignedTable

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

_MOST_BYTES = 256 * 2**20
_LEAST_FRAMES = 4


@dataclass(frozen=True, slots=True)
class GreyFrame:
    """The grey image of a frame, in the two forms that optical flow and alignment need.

    Attributes:
        index: Index of the frame.
        grey: `(H, W) uint8`.
        values: `(H, W) float32`, the same image: interpolation between bytes would round.
    """

    index: int
    grey: NDArray[np.uint8]
    values: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", self.grey.astype(np.float32))

    @classmethod
    def of(cls, frame: Frame) -> GreyFrame:
        """Convert a frame to grey."""
        grey = np.asarray(cv2.cvtColor(frame.analysed_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        return cls(frame.index, grey)

    def __reduce__(self) -> tuple[type[GreyFrame], tuple[int, NDArray[np.uint8]]]:
        # With both forms a saved tracker would be five times as large.
        return GreyFrame, (self.index, self.grey)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.grey.shape[1], self.grey.shape[0]

    def inside(self, xy: FloatArray, margin_px: float) -> NDArray[np.bool_]:
        """`(N,) bool`: which of the positions `(N, 2)` lie at least `margin_px` from every edge."""
        width, height = self.size_wh
        x, y = xy[:, 0], xy[:, 1]
        across = (x >= margin_px) & (x <= width - 1 - margin_px)
        return np.asarray(across & (y >= margin_px) & (y <= height - 1 - margin_px))


@dataclass(frozen=True, slots=True)
class PastFrame:
    """A frame with the positions of the tracks in it.

    Attributes:
        index: Index of the frame.
        grey: `(H, W) uint8`.
        ids: `(M,) int64`, ascending.
        xy: `(M, 2) float32`, pixels; predicted where a track was not seen.
        seen: `(M,) bool`, whether each track was seen.
    """

    index: int
    grey: NDArray[np.uint8]
    ids: NDArray[np.int64]
    xy: FloatArray
    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, frame: GreyFrame, table: AlignedTable) -> PastFrame:
        """A copy of the current positions in a table."""
        return cls(frame.index, frame.grey, table.ids.copy(), table.xy.copy(), table.seen.copy())

    def common_rows(self, ids: NDArray[np.int64]) -> tuple[IntArray, IntArray]:
        """Tracks that exist both in `ids` (ascending) and in this frame: rows in `ids`, rows here."""
        _, current, past = np.intersect1d(ids, self.ids, assume_unique=True, return_indices=True)
        return current, past


class History:
    """The last frames with their track positions: some seconds of ordinary video.

    Args:
        capacity: How many frames are kept; of large ones no more than fit into 256 MiB.
    """

    def __init__(self, capacity: int) -> None:
        self._frames: deque[PastFrame] = deque(maxlen=capacity)

    def __getstate__(self) -> dict[str, deque[PastFrame]]:
        # A tracker is saved only where detections arrive in step with their frames: the newest is enough.
        return {"_frames": deque(list(self._frames)[-1:], self._frames.maxlen)}

    def push(self, frame: PastFrame) -> None:
        """Add a frame; the oldest ones are dropped when the history is full."""
        self._frames.append(frame)
        most = max(_LEAST_FRAMES, _MOST_BYTES // max(1, frame.grey.nbytes))
        while len(self._frames) > most:
            self._frames.popleft()

    @property
    def newest_index(self) -> int:
        """Index of the newest frame; -1 without one."""
        return self._frames[-1].index if self._frames else -1

    def find(self, index: int) -> PastFrame | None:
        """The frame with this index; None where it is not in the history."""
        return next((frame for frame in reversed(self._frames) if frame.index == index), None)

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
