"""Pictures as a lens without distortion would show them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens.grid import interpolated
from realtime_kp.lens.model import Lens, Positions

_WIDEST_RAD = math.radians(60)
_MOST_CELLS = 50
_CELL_PX = 8

Maps = tuple[NDArray[np.int16], NDArray[np.uint16]]


@dataclass(frozen=True, slots=True, eq=False)
class StraightView:
    """The straightened picture of a lens, of the same size, without black parts at its edges.

    Attributes:
        lens: The lens.
        matrix: `(3, 3) float64`: the camera matrix of the straightened picture.
        maps: Where each of its pixels comes from, as `cv2.remap` takes it.
        grid: `(R, C, 2) float32`: where every eighth pixel of the source, from -8 on, comes to lie.
    """

    lens: Lens
    matrix: NDArray[np.float64]
    maps: Maps
    grid: NDArray[np.float32]

    @classmethod
    def of(cls, lens: Lens) -> StraightView:
        """Prepare the view of a lens."""
        matrix, maps = _fisheye(lens) if lens.model == "fisheye" else _radial(lens)
        width, height = lens.size_wh
        x, y = np.meshgrid(*(np.arange(-_CELL_PX, side + 2 * _CELL_PX, _CELL_PX) for side in (width, height)))
        nodes = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        there = _between(lens.undistort(nodes), lens.matrix, matrix)
        return cls(lens, matrix, maps, there.reshape(*x.shape, 2))

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The straightened picture `(H, W[, C])` of a picture; what lies outside is black."""
        return np.asarray(cv2.remap(image, *self.maps, cv2.INTER_LINEAR), np.uint8)

    def from_source(self, xy: Positions) -> NDArray[np.float32]:
        """Positions `(N, 2) float32` in the straightened picture of pixels of the source, for drawing.

        Interpolated between every eighth pixel, which is off by some hundredths of a pixel; NaN stays NaN.
        """
        place = (np.asarray(xy, np.float32) + _CELL_PX) / _CELL_PX
        return np.asarray(interpolated(self.grid, place, _MOST_CELLS), np.float32)

    def to_source(self, xy: Positions) -> NDArray[np.float32]:
        """Pixels `(N, 2) float32` of the source at positions of the straightened picture."""
        return self.lens.distort(_between(np.asarray(xy, np.float64), self.matrix, self.lens.matrix))


def _between(xy: Positions, before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float32]:
    """Pixels of one pinhole camera as those of another one."""
    change = after @ np.linalg.inv(before)
    return (xy @ change[:2, :2].T + change[:2, 2]).astype(np.float32)


def _radial(lens: Lens) -> tuple[NDArray[np.float64], Maps]:
    coefficients, size = np.array(lens.distortion), lens.size_wh
    matrix, _ = cv2.getOptimalNewCameraMatrix(lens.matrix, coefficients, size, 0)
    maps = cv2.initUndistortRectifyMap(lens.matrix, coefficients, np.eye(3), matrix, size, cv2.CV_16SC2)
    return np.asarray(matrix, np.float64), (np.asarray(maps[0]), np.asarray(maps[1]))


def _fisheye(lens: Lens) -> tuple[NDArray[np.float64], Maps]:
    matrix, coefficients = _fisheye_matrix(lens), np.array(lens.distortion)
    maps = cv2.fisheye.initUndistortRectifyMap(
        lens.matrix, coefficients, np.eye(3), matrix, lens.size_wh, cv2.CV_16SC2
    )
    return matrix, (np.asarray(maps[0]), np.asarray(maps[1]))


def _fisheye_matrix(lens: Lens) -> NDArray[np.float64]:
    """Camera matrix of a view that reaches from edge to edge in the shorter direction, up to 120 degrees."""
    (width, height), (cx, cy) = lens.size_wh, lens.centre_xy
    middles = np.array([(-0.5, cy), (width - 0.5, cy), (cx, -0.5), (cx, height - 0.5)])
    reach = np.abs(np.nan_to_num(lens.normalised(middles), nan=np.inf)).max(axis=1)
    reach = np.minimum(reach, math.tan(_WIDEST_RAD))
    focal = max(width / 2 / min(reach[:2]), height / 2 / min(reach[2:]))
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
