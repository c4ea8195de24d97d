"""Drawing of a calibration board, and of where in the picture it was seen."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens.board import BoardView

Image = NDArray[np.uint8]

_SEEN, _NOW, _MISSING = (90, 200, 90), (80, 220, 255), 0.55
_SHARE = 0.12


def draw_coverage(image: Image, views: Sequence[BoardView], covered: NDArray[np.bool_]) -> None:
    """Fill where the board was seen, and darken cells of the picture where no corner was.

    Args:
        image: `(H, W, 3) uint8`; is drawn on.
        views: The views so far.
        covered: `(R, C) bool`: cells of the picture in which corners were seen.
    """
    height, width = image.shape[:2]
    shown = cv2.resize(covered.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    image[~shown] = (image[~shown] * _MISSING).astype(np.uint8)
    for view in views:
        outline = np.rint(view.outline_xy).astype(np.int32)
        layer = image.copy()
        cv2.fillConvexPoly(layer, outline, _SEEN, cv2.LINE_AA)
        cv2.addWeighted(layer, _SHARE, image, 1 - _SHARE, 0, dst=image)
        cv2.polylines(image, [outline], True, _SEEN, 1, cv2.LINE_AA)


def draw_board(image: Image, view: BoardView) -> None:
    """Mark the corners of a board."""
    radius = max(2, round(max(image.shape[:2]) / 250))
    for x, y in np.rint(view.image_xy).astype(int).tolist():
        cv2.circle(image, (x, y), radius, _NOW, -1, cv2.LINE_AA)
