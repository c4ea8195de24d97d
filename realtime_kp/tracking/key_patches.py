"""Key patches: the appearance of a track where it began, of zero mean and unit norm.

That makes alignment invariant to gain and offset (`patch_pool`). Its gradients and Hessians come from here
and are computed once per track.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.patch_sampling import (
    GRID_X,
    GRID_Y,
    REACH_PX,
    SAMPLES,
    identity_maps,
    sample,
    slopes_at,
)

FloatArray = NDArray[np.float32]

SMALLEST_NORM = 1e-3

_ONES = np.ones(SAMPLES, np.float32)
_AFFINE_PRIOR = 0.3
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class KeyPatches:
    """Precomputed key patches of N tracks.

    Attributes:
        steps: `(N, 3, 121) float32`: two rows whose product with a normalised patch is the shift (x, y) in
            pixels of the key patch; then the key patch itself, zero mean, unit norm.
        shapes: `(N, 4, 121) float32`: the same for the four elements of the change of the affine map.
    """

    steps: FloatArray
    shapes: FloatArray

    def __len__(self) -> int:
        return len(self.steps)


def cut_patches(grey: FloatArray, xy: FloatArray) -> KeyPatches:
    """Make key patches at positions in an image.

    Args:
        grey: `(H, W) float32`.
        xy: `(N, 2)`, positions, pixels.
    """
    patch = sample(grey, xy, identity_maps(len(xy)))
    patch -= patch.mean(axis=1, keepdims=True)
    norm = np.maximum(np.linalg.norm(patch, axis=1, keepdims=True), SMALLEST_NORM)
    patch /= norm
    dx, dy = slopes_at(grey, xy)
    slopes = np.stack([dx, dy, dx * GRID_X, dx * GRID_Y, dy * GRID_X, dy * GRID_Y], axis=1)
    slopes /= norm[:, None]
    # Components along gain and offset are projected out: alignment must be invariant to both.
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= np.matmul(slopes, patch[..., None]) * patch[:, None]
    hessian = np.matmul(slopes, slopes.transpose(0, 2, 1))
    strength = np.maximum(np.trace(hessian[:, :2, :2], axis1=1, axis2=2), SMALLEST_NORM)[:, None, None]
    shift = hessian[:, :2, :2] + np.float32(_RIDGE) * strength * np.eye(2, dtype=np.float32)
    # A prior keeps the affine map where the image hardly determines it.
    ridge = np.diag([_RIDGE, _RIDGE, *4 * [_AFFINE_PRIOR * REACH_PX]]).astype(np.float32)
    whole = hessian + strength * ridge
    steps = np.matmul(np.linalg.inv(shift), slopes[:, :2])
    shapes = np.matmul(np.linalg.inv(whole)[:, 2:], slopes)
    return KeyPatches(np.concatenate([steps, patch[:, None]], axis=1), shapes)


def cross_correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Normalised cross-correlation of two sets of `(N, 121)` patches, row by row: `(N,)`."""
    centred = a - a.mean(axis=1, keepdims=True)
    norm = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), SMALLEST_NORM)
    return project((centred / norm)[:, None], b)[:, 0]


def project(rows: FloatArray, patches: FloatArray) -> FloatArray:
    """`(N, R)`: products of `(N, R, P)` rows of zero mean with patches of zero mean and unit norm."""
    total = patches @ _ONES
    spread = np.einsum("np,np->n", patches, patches) - total * total / SAMPLES
    norm = np.sqrt(np.maximum(spread, SMALLEST_NORM))
    return np.asarray(np.matmul(rows, patches[..., None])[..., 0] / norm[:, None], np.float32)
