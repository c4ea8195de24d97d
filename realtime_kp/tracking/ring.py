"""What the tracker remembers of past frames, for keypoints that arrive late."""

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


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as flow and alignment see it.

    Attributes:
        index: Of the frame.
        grey: `(H, W) uint8`.
        values: `(H, W) float32`, the same: interpolating bytes would round.
    """

    index: int
    grey: NDArray[np.uint8]
    values: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", self.grey.astype(np.float32))

    @classmethod
    def of(cls, frame: Frame) -> Picture:
        """The grey picture of a frame."""
        grey = np.asarray(cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        return cls(frame.index, grey)

    def __reduce__(self) -> tuple[type[Picture], tuple[int, NDArray[np.uint8]]]:
        # A kept state would be five times as large with the picture in both forms.
        return Picture, (self.index, self.grey)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.grey.shape[1], self.grey.shape[0]

    def inside(self, xy: FloatArray, margin_px: float) -> NDArray[np.bool_]:
        """`(N,) bool`: which of `(N, 2)` places lie at least this far from the edges."""
        width, height = self.size_wh
        far = (width - 1 - margin_px, height - 1 - margin_px)
        return np.asarray(((xy >= margin_px) & (xy <= far)).all(axis=1))


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame and where the tracks were in it.

    Attributes:
        index: Of the frame.
        grey: `(H, W) uint8`.
        ids: `(M,) int64`, ascending.
        xy: `(M, 2) float32`, pixels; predicted where not seen.
        seen: `(M,) bool`.
    """

    index: int
    grey: NDArray[np.uint8]
    ids: NDArray[np.int64]
    xy: FloatArray
    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, picture: Picture, table: AlignedTable) -> Moment:
        """The moment at which a table stands."""
        return cls(picture.index, picture.grey, table.ids.copy(), table.xy.copy(), table.seen.copy())

    @classmethod
    def without_tracks(cls, picture: Picture) -> Moment:
        """A moment before the first track."""
        none = np.zeros(0, np.int64)
        return cls(picture.index, picture.grey, none, np.zeros((0, 2), np.float32), none.astype(np.bool_))

    def rows_of(self, ids: NDArray[np.int64]) -> tuple[IntArray, IntArray]:
        """Rows of `ids` (ascending) that were alive at this moment, and their rows in it."""
        _, now, then = np.intersect1d(ids, self.ids, assume_unique=True, return_indices=True)
        return now, then


class Ring:
    """The last few moments, oldest first.

    Args:
        capacity: How many.
    """

    def __init__(self, capacity: int) -> None:
        self._moments: deque[Moment] = deque(maxlen=capacity)

    def __getstate__(self) -> dict[str, deque[Moment]]:
        # States are kept where detections come in step with their frames: only the newest is asked for then.
        return {"_moments": deque(list(self._moments)[-1:], self._moments.maxlen)}

    def push(self, moment: Moment) -> None:
        """Remember a moment; the oldest is forgotten where there is no room."""
        self._moments.append(moment)

    def find(self, index: int) -> Moment | None:
        """The moment of a frame; None where it is forgotten or never was."""
        return next((moment for moment in reversed(self._moments) if moment.index == index), None)

    def clear(self) -> None:
        """Forget everything."""
        self._moments.clear()
