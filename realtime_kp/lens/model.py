"""A camera's lens: pinhole with radial and tangential distortion, or an equidistant fisheye."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError
from realtime_kp.lens.continued import ContinuedModel
from realtime_kp.lens.distortion import Distortion, LensModel

Float = NDArray[np.float64]
Positions = NDArray[np.float32] | NDArray[np.float64]

_COEFFICIENTS = {"radial-tangential": (0, 4, 5, 8, 12), "fisheye": (4,)}
_SAME_ASPECT = 0.01
_PRECISE = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-12)
_WRONG_PX = 1e-4
_EDGE_POINTS = 33


@dataclass(frozen=True)
class Lens:
    """A lens, in pixels of pictures of one size; the centre of the top left pixel is at (0, 0).

    The models are OpenCV's: `radial-tangential` (Brown and Conrady, with coefficients k1, k2, p1, p2[, k3[,
    k4, k5, k6[, s1, s2, s3, s4]]]; none is a pinhole) and `fisheye` (equidistant, with k1, k2, k3, k4).

    *Undistorted* pixels are those of a pinhole camera with the same focal lengths and centre, in which
    straight lines are straight. Farther out than the picture's corners, or than 80° from the axis, the map is
    continued linearly: the model says nothing there, and what leaves the picture can be followed.

    Attributes:
        size_wh: Width and height of the pictures, pixels.
        focal_xy: Focal lengths, pixels.
        centre_xy: Principal point, pixels.
        distortion: Coefficients of the model.
        model: Which model.
    """

    size_wh: tuple[int, int]
    focal_xy: tuple[float, float]
    centre_xy: tuple[float, float]
    distortion: tuple[float, ...] = ()
    model: LensModel = "radial-tangential"

    def __post_init__(self) -> None:
        if self.model not in get_args(LensModel):
            raise ArgumentError(f"a lens is radial-tangential or fisheye, got {self.model!r}")
        numbers = (*self.focal_xy, *self.centre_xy, *self.distortion)
        if not all(math.isfinite(number) for number in numbers):
            raise ArgumentError(f"a lens takes finite numbers, got {numbers}")
        if min(self.size_wh) < 1:
            raise ArgumentError(f"the pictures of a lens must have a size, got {self.size_wh}")
        if min(self.focal_xy) <= 0:
            raise ArgumentError(f"focal lengths must be above 0 px, got {self.focal_xy}")
        counts = _COEFFICIENTS[self.model]
        if len(self.distortion) not in counts:
            known = " or ".join(map(str, counts))
            raise ArgumentError(
                f"{self.model} distortion has {known} coefficients, got {len(self.distortion)}"
            )

    def __getstate__(self) -> dict[str, object]:
        # Without what is derived, which is large.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def matrix(self) -> Float:
        """`(3, 3)`: from normalised image coordinates to undistorted pixels."""
        (fx, fy), (cx, cy) = self.focal_xy, self.centre_xy
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])

    def scaled(self, size_wh: tuple[int, int]) -> Lens:
        """The same lens for pictures of another size.

        Raises:
            ArgumentError: Their aspect is another one, so that they are not the same pictures scaled.
        """
        if size_wh == self.size_wh:
            return self
        x, y = (new / old for new, old in zip(size_wh, self.size_wh, strict=True))
        if abs(x / y - 1) > _SAME_ASPECT:
            had, got = ("x".join(map(str, size)) for size in (self.size_wh, size_wh))
            raise ArgumentError(f"a lens calibrated with pictures of {had} does not fit pictures of {got}")
        return self.stretched(size_wh)

    def stretched(self, size_wh: tuple[int, int]) -> Lens:
        """The same lens for pictures scaled to any other size, in each direction by itself."""
        if size_wh == self.size_wh:
            return self
        x, y = (new / old for new, old in zip(size_wh, self.size_wh, strict=True))
        (fx, fy), (cx, cy) = self.focal_xy, self.centre_xy
        centre = ((cx + 0.5) * x - 0.5, (cy + 0.5) * y - 0.5)
        other = replace(self, size_wh=size_wh, focal_xy=(fx * x, fy * y), centre_xy=centre)
        if "_continued" in vars(self):
            # It is costly, and the same: normalised coordinates do not know the size of the picture.
            vars(other)["_continued"] = self._continued
        return other

    def normalised(self, xy: Positions) -> Float:
        """Undistorted, normalised image coordinates: the direction of a pixel is `(x_n, y_n, 1)`.

        Args:
            xy: `(N, 2)`, pixels.

        Returns:
            `(N, 2)`; NaN where the lens sees no direction before the camera.
        """
        points = np.asarray(xy, np.float64).reshape(-1, 2)
        there = self._inverted(points)
        wrong = ~(np.abs(self._distorted(there) - points).max(axis=1, initial=0) <= _WRONG_PX)
        wrong |= np.hypot(*there.T) > self._continued.fold
        there[wrong] = np.nan
        return there

    def undistort(self, xy: Positions) -> NDArray[np.float32]:
        """Undistorted pixels `(N, 2) float32` of pixels `(N, 2)`."""
        return (self._continued.inverse(self._normal(xy)) * self.focal_xy + self.centre_xy).astype(np.float32)

    def distort(self, xy: Positions) -> NDArray[np.float32]:
        """Pixels `(N, 2) float32` of undistorted pixels `(N, 2)`."""
        distorted, _ = self._continued.distort(self._normal(xy))
        return (distorted * self.focal_xy + self.centre_xy).astype(np.float32)

    def in_range(self, xy: Positions) -> NDArray[np.float32]:
        """Undistorted pixels `(N, 2)`, those from where on the model is continued drawn in to there."""
        normalised, limit = self._normal(xy), self._continued.limit
        shrink = np.minimum(1.0, limit / np.maximum(np.hypot(*normalised.T), 1e-12))
        drawn_in = normalised * shrink[:, None] * self.focal_xy + self.centre_xy
        return np.asarray(drawn_in, np.float32)

    def distortion_jacobian(self, xy: Positions) -> NDArray[np.float32]:
        """`(N, 2, 2)`: how pixels change with undistorted pixels, at undistorted pixels `(N, 2)`."""
        _, derivative = self._continued.distort(self._normal(xy))
        focal = np.array(self.focal_xy)
        return np.asarray(derivative * focal[:, None] / focal, np.float32)

    def undistortion_jacobian(self, xy: Positions) -> NDArray[np.float32]:
        """`(N, 2, 2)`: how undistorted pixels change with pixels, at undistorted pixels `(N, 2)`."""
        (a, b), (c, d) = self.distortion_jacobian(xy).transpose(1, 2, 0)
        turned = np.stack([d, -b, -c, a], axis=1) / (a * d - b * c)[:, None]
        return np.asarray(turned.reshape(-1, 2, 2), np.float32)

    @property
    def _distortion(self) -> Distortion:
        return Distortion(self.model, self.distortion)

    def _normal(self, xy: Positions) -> Float:
        return (np.asarray(xy, np.float64) - self.centre_xy) / self.focal_xy

    def _distorted(self, normalised: Float) -> Float:
        """Pixels of normalised coordinates by the model alone."""
        return self._distortion.distort(normalised)[0] * self.focal_xy + self.centre_xy

    def _inverted(self, points: Float) -> Float:
        """Normalised coordinates of pixels by the model alone; wrong where it cannot be inverted."""
        if not self.distortion or len(points) == 0:
            return self._normal(points)
        undistort = cv2.fisheye.undistortPoints if self.model == "fisheye" else cv2.undistortPoints
        found = undistort(points[:, None], self.matrix, np.array(self.distortion), criteria=_PRECISE)
        return np.asarray(found.reshape(-1, 2), np.float64)

    @cached_property
    def _continued(self) -> ContinuedModel:
        width, height = self.size_wh
        corners = self._normal(np.array([(-0.5, -0.5), (width - 0.5, height - 0.5)]))
        return ContinuedModel.of(self._distortion, self._corner_radius, corners)

    @property
    def _corner_radius(self) -> float:
        """The largest radius in normalised coordinates at the edge of the picture, where it can be told."""
        width, height = self.size_wh
        x, y = np.linspace(-0.5, width - 0.5, _EDGE_POINTS), np.linspace(-0.5, height - 0.5, _EDGE_POINTS)
        sides = [np.stack([x, 0 * x + end], axis=1) for end in (y[0], y[-1])]
        sides += [np.stack([0 * y + end, y], axis=1) for end in (x[0], x[-1])]
        edge = np.concatenate(sides)
        found = self._inverted(edge)
        sound = np.abs(self._distorted(np.nan_to_num(found)) - edge).max(axis=1) <= _WRONG_PX
        return float(np.hypot(*found[sound].T).max()) if sound.any() else math.inf
