"""A model of distortion that is continued beyond the picture, and its fast inverse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens.distortion import Distortion
from realtime_kp.lens.grid import interpolated

Float = NDArray[np.float64]

_WIDEST_RAD = math.radians(80)
_LEAST_SLOPE = 0.15  # of the distorted radius over the angle from the axis, radians
_LEAST_RISE = 0.01  # of the distorted radius over the undistorted one
_RADII = 400
_NODES = 129
_MARGIN = 0.1
_ITERATIONS = 8
_FINE = 2e-4  # one step of Newton's method squares what is left
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class ContinuedModel:
    """Distortion that can be inverted everywhere: beyond some radius it goes on linearly.

    Attributes:
        distortion: The model.
        fold: Radius in normalised coordinates from which on the model maps nothing uniquely.
        limit: Radius from which on it is continued.
        slope: Slope of the distorted radius from there on.
        first: `(2,)`, distorted coordinates of the first node of the grid.
        step: `(2,)`, distance of the nodes.
        grid: `(R, C, 2)`, undistorted coordinates at the nodes: where the inverse starts.
    """

    distortion: Distortion
    fold: float
    limit: float
    slope: float
    first: Float
    step: Float
    grid: Float

    @classmethod
    def of(cls, distortion: Distortion, corner_radius: float, corners: Float) -> ContinuedModel:
        """Find the range of a model, and prepare its inverse.

        Args:
            distortion: The model.
            corner_radius: The largest radius in the picture, normalised coordinates.
            corners: `(2, 2)`, distorted coordinates of the picture's top left and bottom right corner.
        """
        angles = np.linspace(0, math.radians(89.9), _RADII)
        radii = np.tan(angles)
        along, _ = distortion.radial.distort(np.stack([radii, 0 * radii], axis=1))
        steps = np.diff(along[:, 0])
        flat, folded = (
            np.flatnonzero(steps <= least) for least in (_LEAST_SLOPE * np.diff(angles), 0 * steps)
        )
        widest = min(_WIDEST_RAD, math.atan(corner_radius))
        last = int(min(np.searchsorted(angles, widest), flat[0] if len(flat) else _RADII, _RADII - 2))
        slope = max(float(steps[last] / (radii[last + 1] - radii[last])), _LEAST_RISE)
        fold = float(radii[folded[0]]) if len(folded) else math.inf
        margin = _MARGIN * (corners[1] - corners[0])
        first, step = corners[0] - margin, (corners[1] - corners[0] + 2 * margin) / (_NODES - 1)
        plain = cls(distortion, fold, float(radii[last]), slope, first, step, np.zeros((0, 0, 2)))
        x, y = np.meshgrid(*(first[axis] + step[axis] * np.arange(_NODES) for axis in (0, 1)))
        nodes = np.stack([x.ravel(), y.ravel()], axis=1)
        grid = plain._refined(nodes, plain._radial_guess(nodes)).reshape(_NODES, _NODES, 2)
        return cls(distortion, fold, float(radii[last]), slope, first, step, grid)

    def distort(self, normalised: Float) -> tuple[Float, Float]:
        """Distorted coordinates `(N, 2)` of normalised ones `(N, 2)`, and their derivatives `(N, 2, 2)`."""
        radius = np.hypot(*normalised.T)
        far = radius > self.limit
        if not self.distortion.coefficients or not far.any():
            return self.distortion.distort(normalised)
        shrink = np.where(far, self.limit / np.maximum(radius, _TINY), 1.0)
        inner = normalised * shrink[:, None]
        distorted, derivative = self.distortion.distort(inner)
        distorted += self.slope * (normalised - inner)
        outward = normalised[far] / radius[far, None]
        across = shrink[far, None, None] * (np.eye(2) - outward[:, :, None] * outward[:, None, :])
        derivative[far] = derivative[far] @ across + self.slope * (np.eye(2) - across)
        return distorted, derivative

    def inverse(self, distorted: Float) -> Float:
        """Normalised coordinates `(N, 2)` of distorted ones `(N, 2)`; NaN of NaN."""
        if not self.distortion.coefficients or len(distorted) == 0:
            return distorted.copy()
        place = (distorted - self.first) / self.step
        guess = np.asarray(interpolated(self.grid, place, 1), np.float64)
        outside = ((place < 0) | (place > _NODES - 1)).any(axis=1)
        if outside.any():
            guess[outside] = self._radial_guess(distorted[outside])
        return self._refined(distorted, guess)

    def _radial_guess(self, distorted: Float) -> Float:
        """Where distorted coordinates come from, without tangential distortion: found along the radius."""
        radii = np.append(np.linspace(0, self.limit, _RADII), 2 * self.limit)
        along = self.distortion.radial.distort(np.stack([radii, 0 * radii], axis=1))[0][:, 0]
        along[-1] = along[-2] + self.slope * self.limit
        radius = np.maximum(np.hypot(*distorted.T), _TINY)
        inside = np.interp(radius, along, radii)
        beyond = self.limit + (radius - along[-2]) / self.slope
        return np.asarray(distorted * (np.where(radius > along[-2], beyond, inside) / radius)[:, None])

    def _refined(self, distorted: Float, guess: Float) -> Float:
        """Newton's method, on as long as something changes."""
        rows = np.arange(len(distorted))
        for _ in range(_ITERATIONS):
            there, derivative = self.distort(guess[rows])
            gap = distorted[rows] - there
            (a, b), (c, d) = derivative.transpose(1, 2, 0)
            determinant = a * d - b * c
            step = np.stack([d * gap[:, 0] - b * gap[:, 1], a * gap[:, 1] - c * gap[:, 0]], axis=1)
            guess[rows] += step / determinant[:, None]
            rows = rows[np.abs(gap).max(axis=1) > _FINE]
            if len(rows) == 0:
                break
        return guess
