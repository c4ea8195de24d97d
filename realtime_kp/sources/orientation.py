"""How a decoded frame is turned or mirrored to be shown upright."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

_FIXED_POINT = 65536  # of the display matrix
_NEARLY = 0.02


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to lay down a picture: transposed first, then mirrored.

    Attributes:
        transposed: Rows become columns.
        mirrored_x: Left and right are exchanged.
        mirrored_y: Top and bottom are exchanged.
        odd_degrees: An angle beside the right angles, which is not applied; None for none.
    """

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False
    odd_degrees: float | None = None

    @classmethod
    def of(cls, picture: av.VideoFrame) -> Orientation:
        """The orientation of a frame, by its display matrix.

        The matrix maps a stored point `(x, y)` to `(a x + c y, b x + d y)` (ISO/IEC 14496-12, track header).
        """
        side_data: Any = picture.side_data
        if Type.DISPLAYMATRIX not in side_data:
            return cls()
        matrix = np.frombuffer(side_data[Type.DISPLAYMATRIX], np.int32)
        a, b, c, d = (float(matrix[i]) / _FIXED_POINT for i in (0, 1, 3, 4))
        scale = math.sqrt(abs(a * d - b * c))
        if scale < _NEARLY:
            return cls()
        if abs(b) + abs(c) <= _NEARLY * scale:
            return cls(False, a < 0, d < 0)
        if abs(a) + abs(d) <= _NEARLY * scale:
            return cls(True, c < 0, b < 0)
        return cls(odd_degrees=math.degrees(math.atan2(b, a)))

    def upright(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An `(H, W, 3)` image as it is shown; a view where nothing is exchanged."""
        if self.transposed:
            image = image.transpose(1, 0, 2)
        if self.mirrored_x:
            image = image[:, ::-1]
        if self.mirrored_y:
            image = image[::-1]
        return image
