"""The models of distortion: from normalised image coordinates to distorted ones, with their derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LensModel = Literal["radial-tangential", "fisheye"]
Float = NDArray[np.float64]

_RADIAL_COEFFICIENTS = 12
_LEAST_RADIUS = 1e-8


@dataclass(frozen=True, slots=True)
class Distortion:
    """A model of distortion with its coefficients.

    Attributes:
        model: Which model.
        coefficients: Its coefficients.
    """

    model: LensModel
    coefficients: tuple[float, ...]

    def distort(self, normalised: Float) -> tuple[Float, Float]:
        """Distorted coordinates `(N, 2)` of normalised ones `(N, 2)`, and their derivatives `(N, 2, 2)`."""
        function = fisheye if self.model == "fisheye" else radial_tangential
        return function(normalised, self.coefficients)

    @property
    def radial(self) -> Distortion:
        """The radial part alone."""
        if self.model == "fisheye" or not self.coefficients:
            return self
        k1, k2, _, _, *more = self.coefficients
        return Distortion(self.model, (k1, k2, 0.0, 0.0, *more[:4]))


def radial_tangential(normalised: Float, coefficients: tuple[float, ...]) -> tuple[Float, Float]:
    """OpenCV's radial, tangential and thin prism distortion.

    The formulas are those of OpenCV's documentation of camera calibration.

    Args:
        normalised: `(N, 2)`.
        coefficients: k1, k2, p1, p2[, k3[, k4, k5, k6[, s1, s2, s3, s4]]]; none changes nothing.

    Returns:
        `(N, 2)` distorted coordinates, `(N, 2, 2)` their derivatives.
    """
    filled = (*coefficients, *[0.0] * (_RADIAL_COEFFICIENTS - len(coefficients)))
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = filled
    x, y = normalised.T
    r2 = x * x + y * y
    above, below = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    scale = above / below
    rise = k1 + r2 * (2 * k2 + 3 * k3 * r2) - scale * (k4 + r2 * (2 * k5 + 3 * k6 * r2))
    rise /= below
    distorted = np.stack(
        [
            x * scale + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + s2 * r2),
            y * scale + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + s4 * r2),
        ],
        axis=1,
    )
    cross = 2 * (x * y * rise + p1 * x + p2 * y)
    prism_x, prism_y = 2 * (s1 + 2 * s2 * r2), 2 * (s3 + 2 * s4 * r2)
    derivative = np.empty((len(x), 2, 2))
    derivative[:, 0, 0] = scale + 2 * x * x * rise + 2 * p1 * y + 6 * p2 * x + x * prism_x
    derivative[:, 0, 1] = cross + y * prism_x
    derivative[:, 1, 0] = cross + x * prism_y
    derivative[:, 1, 1] = scale + 2 * y * y * rise + 6 * p1 * y + 2 * p2 * x + y * prism_y
    return distorted, derivative


def fisheye(normalised: Float, coefficients: tuple[float, ...]) -> tuple[Float, Float]:
    """The equidistant fisheye: the distorted radius is a polynomial of the angle from the axis.

    Kannala and Brandt, A generic camera model and calibration method for conventional, wide-angle, and
    fish-eye lenses, TPAMI 2006, as in OpenCV's `cv2.fisheye`.

    Args:
        normalised: `(N, 2)`.
        coefficients: k1, k2, k3, k4.

    Returns:
        `(N, 2)` distorted coordinates, `(N, 2, 2)` their derivatives.
    """
    k1, k2, k3, k4 = coefficients
    radius = np.maximum(np.hypot(*normalised.T), _LEAST_RADIUS)
    angle = np.arctan(radius)
    a2 = angle * angle
    distorted_radius = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    rise = 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    scale = distorted_radius / radius
    outward = (rise / (1 + radius * radius) - scale) / (radius * radius)
    distorted = normalised * scale[:, None]
    derivative = outward[:, None, None] * normalised[:, :, None] * normalised[:, None, :]
    derivative[:, 0, 0] += scale
    derivative[:, 1, 1] += scale
    return distorted, derivative
