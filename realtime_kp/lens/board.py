"""Calibration boards, and where a picture shows their corners."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError

_LARGEST_PX = 1280
_LEAST_CORNERS = 8
_MARKER_SHARE = 0.75
_REACH, _FARTHEST_PX = 0.25, 15  # of a square, around its corners
_REFINED = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-3)


@dataclass(frozen=True, slots=True, eq=False)
class BoardView:
    """A board in a picture.

    Attributes:
        image_xy: `(N, 2) float32`, corners, pixels.
        board_m: `(N, 3) float32`, the same corners on the board, metres.
        outline_xy: `(4, 2) float32`, where the outermost corners of the whole board are, pixels.
        size_wh: Width and height of the picture.
    """

    image_xy: NDArray[np.float32]
    board_m: NDArray[np.float32]
    outline_xy: NDArray[np.float32]
    size_wh: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Board:
    """A chessboard; or a ChArUco board, of which a part is enough.

    Attributes:
        corners: Inner corners of a chessboard along its width and height, such as 9 and 6; of a ChArUco board
            the squares.
        square_m: Side of a square, metres.
        dictionary: Markers of a ChArUco board, such as `4X4_50`; empty for a chessboard.
        marker_m: Side of its markers, metres; None for three quarters of a square.
    """

    corners: tuple[int, int]
    square_m: float
    dictionary: str = ""
    marker_m: float | None = None
    _detector: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if min(self.corners) < 3:
            raise ArgumentError(f"a board needs at least 3x3 corners, got {self.corners}")
        if not self.square_m > 0:
            raise ArgumentError(f"the squares of a board must have a side above 0 m, got {self.square_m}")
        if not self.dictionary:
            return
        number = getattr(cv2.aruco, f"DICT_{self.dictionary.upper()}", None)
        if number is None:
            raise ArgumentError(f"there is no dictionary of markers {self.dictionary!r}, but such as 4X4_50")
        marker_m = _MARKER_SHARE * self.square_m if self.marker_m is None else self.marker_m
        if not 0 < marker_m < self.square_m:
            raise ArgumentError(f"markers must be smaller than the squares around them, got {marker_m} m")
        dictionary = cv2.aruco.getPredefinedDictionary(number)
        board = cv2.aruco.CharucoBoard(self.corners, self.square_m, marker_m, dictionary)
        object.__setattr__(self, "_detector", cv2.aruco.CharucoDetector(board))

    def find(self, image_bgr: NDArray[np.uint8]) -> BoardView | None:
        """The board in a picture `(H, W, 3)`; None where it is not there, or hardly."""
        grey = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        found = self._chessboard(grey) if self._detector is None else self._charuco(grey)
        if found is None:
            return None
        image_xy, board_m = found
        homography, _ = cv2.findHomography(board_m[:, :2], image_xy)
        if homography is None:
            return None
        outline = cv2.perspectiveTransform(self._outline_m()[:, None], homography)
        height, width = grey.shape
        return BoardView(image_xy, board_m, np.asarray(outline[:, 0], np.float32), (width, height))

    def _outline_m(self) -> NDArray[np.float32]:
        columns, rows = self.corners
        least, x, y = (0, columns - 1, rows - 1) if self._detector is None else (1, columns - 1, rows - 1)
        outline = np.array([[least, least], [x, least], [x, y], [least, y]], np.float32)
        return np.asarray(outline * np.float32(self.square_m), np.float32)

    def _chessboard(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        scale = min(1.0, _LARGEST_PX / max(grey.shape))
        small = (
            grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        )
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY
        there, corners = cv2.findChessboardCornersSB(small, self.corners, flags=flags)
        if not there or corners is None:
            return None
        xy = np.asarray(corners.reshape(-1, 2), np.float32)
        xy = np.ascontiguousarray((xy + 0.5) / np.float32(scale) - 0.5)
        # That is exact to a tenth of a pixel; the gradients around a corner tell twice as much.
        apart_px = np.linalg.norm(np.diff(xy.reshape(*self.corners[::-1], 2), axis=1), axis=2).min()
        reach = int(np.clip(_REACH * apart_px, 2, _FARTHEST_PX))
        cv2.cornerSubPix(grey, xy, (reach, reach), (-1, -1), _REFINED)
        columns, rows = self.corners
        grid = np.mgrid[:columns, :rows].T.reshape(-1, 2).astype(np.float32) * np.float32(self.square_m)
        return xy, np.concatenate([grid, np.zeros((len(grid), 1), np.float32)], axis=1)

    def _charuco(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if ids is None or len(ids) < _LEAST_CORNERS:
            return None
        board_m = np.asarray(self._detector.getBoard().getChessboardCorners(), np.float32)[ids.ravel()]
        xy = np.asarray(corners.reshape(-1, 2), np.float32)
        # All on one line would tell nothing.
        flat = np.linalg.matrix_rank(board_m[:, :2] - board_m[0, :2], tol=1e-6) < 2
        return None if flat else (xy, board_m)
