"""Key patches: the appearance of a track where it began, and alignment of an image to it.

Inverse compositional Lucas–Kanade (Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 2004) on patches of
zero mean and unit norm, which makes it invariant to gain and offset. Gradients and Hessian are those of the
key
patch: they are computed once per track, and alignment does not accumulate drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

SIDE = 11
STEP_PX = 1.75
REACH_PX = (SIDE // 2) * STEP_PX
SAMPLES = SIDE * SIDE

_OFFSETS = (np.arange(SIDE, dtype=np.float32) - SIDE // 2) * np.float32(STEP_PX)
_GRID_X = np.tile(_OFFSETS, SIDE)
_GRID_Y = np.repeat(_OFFSETS, SIDE)
_ONES = np.ones(SAMPLES, np.float32)
_GRID = np.stack([_GRID_X, _GRID_Y, np.ones_like(_GRID_X)])
_REMAP_ROWS = 30_000  # OpenCV counts them in 16 bits
_AFFINE_PRIOR = 0.3
_LARGEST_CHANGE = 0.05
_SMALLEST_NORM = 1e-3
_RIDGE = 1e-6
_MAX_ITERATIONS = 6
_CONVERGED_PX = 0.12
_DIVERGED = 0.3
_LEAST_RESIDUAL = 1e-4


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


def sample(grey: FloatArray, xy: FloatArray, affine: FloatArray) -> FloatArray:
    """Sample patches from an image, bilinearly.

    Args:
        grey: `(H, W) float32`; edge pixels are repeated beyond the edges.
        xy: `(N, 2)`, centres of the patches, pixels.
        affine: `(N, 2, 2)`, from pixels of the patch to pixels of the image.

    Returns:
        `(N, 121) float32`.
    """
    if len(xy) == 0:
        return np.zeros((0, SAMPLES), np.float32)
    maps = np.matmul(np.concatenate([affine, xy[:, :, None]], axis=2).transpose(1, 0, 2), _GRID)
    patches = np.empty((len(xy), SAMPLES), np.float32)
    for start in range(0, len(xy), _REMAP_ROWS):
        part = slice(start, start + _REMAP_ROWS)
        cv2.remap(
            grey,
            maps[0, part],
            maps[1, part],
            cv2.INTER_LINEAR,
            patches[part],
            borderMode=cv2.BORDER_REPLICATE,
        )
    return patches


def min_eigenvalue(grey: FloatArray, xy: FloatArray) -> FloatArray:
    """How well positions are determined by the image around them.

    The smaller eigenvalue of the structure tensor (Shi and Tomasi, Good features to track, CVPR 1994)
    summed over the patch, in grey levels² per pixel²: noise of σ grey levels shifts an alignment by about
    `σ / sqrt(eigenvalue)` pixels.

    Args:
        grey: `(H, W) float32`.
        xy: `(N, 2)`, positions, pixels.

    Returns:
        `(N,) float32`.
    """
    dx, dy = _slopes(grey, xy)
    dx -= dx.mean(axis=1, keepdims=True)
    dy -= dy.mean(axis=1, keepdims=True)
    xx, yy, cross = (np.einsum("np,np->n", a, b) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    return np.asarray((xx + yy) / 2 - np.hypot((xx - yy) / 2, cross), np.float32)


def cut_patches(grey: FloatArray, xy: FloatArray) -> KeyPatches:
    """Make key patches at positions in an image.

    Args:
        grey: `(H, W) float32`.
        xy: `(N, 2)`, positions, pixels.
    """
    patch = sample(grey, xy, _identity_maps(len(xy)))
    patch -= patch.mean(axis=1, keepdims=True)
    norm = np.maximum(np.linalg.norm(patch, axis=1, keepdims=True), _SMALLEST_NORM)
    patch /= norm
    dx, dy = _slopes(grey, xy)
    slopes = np.stack([dx, dy, dx * _GRID_X, dx * _GRID_Y, dy * _GRID_X, dy * _GRID_Y], axis=1)
    slopes /= norm[:, None]
    # Components along gain and offset are projected out: alignment must be invariant to both.
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= np.matmul(slopes, patch[..., None]) * patch[:, None]
    hessian = np.matmul(slopes, slopes.transpose(0, 2, 1))
    strength = np.maximum(np.trace(hessian[:, :2, :2], axis1=1, axis2=2), _SMALLEST_NORM)[:, None, None]
    shift = hessian[:, :2, :2] + np.float32(_RIDGE) * strength * np.eye(2, dtype=np.float32)
    # A prior keeps the affine map where the image hardly determines it.
    ridge = np.diag([_RIDGE, _RIDGE, *4 * [_AFFINE_PRIOR * REACH_PX]]).astype(np.float32)
    whole = hessian + strength * ridge
    steps = np.matmul(np.linalg.inv(shift), slopes[:, :2])
    shapes = np.matmul(np.linalg.inv(whole)[:, 2:], slopes)
    return KeyPatches(np.concatenate([steps, patch[:, None]], axis=1), shapes)


def _identity_maps(count: int) -> FloatArray:
    return np.tile(np.eye(2, dtype=np.float32), (count, 1, 1))


def _slopes(grey: FloatArray, xy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`(N, 121)` derivatives along x and y, by central differences."""
    upright = _identity_maps(len(xy))
    right, down = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    dx = sample(grey, xy + right, upright) - sample(grey, xy - right, upright)
    dy = sample(grey, xy + down, upright) - sample(grey, xy - down, upright)
    return np.asarray(dx / 2, np.float32), np.asarray(dy / 2, np.float32)


class PatchPool:
    """Key patches of all tracks, each in a slot that belongs to the track while it exists.

    Args:
        capacity: Initial number of slots; it is doubled when needed.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._steps = np.zeros((capacity, 3, SAMPLES), np.float32)
        self._shapes = np.zeros((capacity, 4, SAMPLES), np.float32)
        self._radii = np.zeros(capacity, np.float32)
        self._free = list(range(capacity - 1, -1, -1))

    def put(self, keys: KeyPatches) -> IntArray:
        """Store key patches; returns their slots, `(N,)`."""
        while len(self._free) < len(keys):
            self._grow()
        slots = np.array([self._free.pop() for _ in range(len(keys))], np.intp)
        self.replace(slots, keys)
        return slots

    def replace(self, slots: IntArray, keys: KeyPatches) -> None:
        """Replace the key patches in some slots."""
        self._steps[slots], self._shapes[slots] = keys.steps, keys.shapes
        # With noise of unit variance in each sample, the covariance of the shift is the inverse Hessian, and
        # that is the product of the first two rows with themselves.
        self._radii[slots] = np.linalg.norm(keys.steps[:, :2], axis=(1, 2))

    def release(self, slots: IntArray) -> None:
        """Free some slots."""
        self._free += slots.tolist()

    def align(
        self, grey: FloatArray, slots: IntArray, xy: FloatArray, affine: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Shift positions until the image matches the key patches.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)`, slots of the key patches.
            xy: `(N, 2)`, initial positions, pixels; they converge if at most about 3 px off.
            affine: `(N, 2, 2)`, from pixels of the key patch to pixels of the image.

        Returns:
            `(N, 2)` positions, and `(N,)` normalised cross-correlation before the last step.
        """
        xy, correlation = xy.copy(), np.zeros(len(xy), np.float32)
        rows, steps = np.arange(len(xy)), self._steps.take(slots, axis=0)
        for _ in range(_MAX_ITERATIONS):
            found = _project(steps, sample(grey, xy[rows], affine[rows]))
            shift = _apply(affine[rows], found)
            xy[rows] -= shift
            correlation[rows] = found[:, 2]
            # Most converge in the first iteration; only the others are iterated further.
            moving = (np.abs(shift[:, 0]) > _CONVERGED_PX) | (np.abs(shift[:, 1]) > _CONVERGED_PX)
            kept = np.flatnonzero(moving & (found[:, 2] > _DIVERGED))
            rows, steps = rows[kept], steps.take(kept, axis=0)
            if len(rows) == 0:
                break
        return xy, correlation

    def noise_px(self, slots: IntArray, affine: FloatArray, correlation: FloatArray) -> FloatArray:
        """Standard deviation of alignments, from the inverse Hessian and the residual.

        Args:
            slots: `(N,)`, slots of the key patches.
            affine: `(N, 2, 2)`, from pixels of the key patch to pixels of the image.
            correlation: `(N,)`, normalised cross-correlation after alignment.

        Returns:
            `(N,)`, of the distance, pixels of the image.
        """
        sample_sigma = np.sqrt(2 * np.maximum(1 - correlation, _LEAST_RESIDUAL) / SAMPLES)
        area = affine[:, 0, 0] * affine[:, 1, 1] - affine[:, 0, 1] * affine[:, 1, 0]
        return np.asarray(self._radii[slots] * sample_sigma * np.sqrt(np.abs(area)), np.float32)

    def adapt(self, grey: FloatArray, slots: IntArray, xy: FloatArray, affine: FloatArray) -> FloatArray:
        """One Gauss–Newton step of the affine maps, at positions that are aligned already.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)`, slots of the key patches.
            xy: `(N, 2)`, positions, pixels.
            affine: `(N, 2, 2)`.

        Returns:
            `(N, 2, 2)` affine maps.
        """
        change = _project(self._shapes.take(slots, axis=0), sample(grey, xy, affine)).reshape(-1, 2, 2)
        largest = np.float32(_LARGEST_CHANGE)
        change = np.clip(change, -largest, largest)
        return np.asarray(affine - np.matmul(affine, change), np.float32)

    def _grow(self) -> None:
        capacity = len(self._steps)
        self._steps = np.concatenate([self._steps, np.zeros_like(self._steps)])
        self._shapes = np.concatenate([self._shapes, np.zeros_like(self._shapes)])
        self._radii = np.concatenate([self._radii, np.zeros_like(self._radii)])
        self._free = list(range(2 * capacity - 1, capacity - 1, -1)) + self._free


def cross_correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Normalised cross-correlation of two sets of `(N, 121)` patches, row by row: `(N,)`."""
    centred = a - a.mean(axis=1, keepdims=True)
    norm = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _SMALLEST_NORM)
    return _project((centred / norm)[:, None], b)[:, 0]


def _project(rows: FloatArray, patches: FloatArray) -> FloatArray:
    """`(N, R)`: products of `(N, R, P)` rows of zero mean with patches of zero mean and unit norm."""
    total = patches @ _ONES
    spread = np.einsum("np,np->n", patches, patches) - total * total / SAMPLES
    norm = np.sqrt(np.maximum(spread, _SMALLEST_NORM))
    return np.asarray(np.matmul(rows, patches[..., None])[..., 0] / norm[:, None], np.float32)


def _apply(affine: FloatArray, shift: FloatArray) -> FloatArray:
    return np.asarray(affine[:, :, 0] * shift[:, 0, None] + affine[:, :, 1] * shift[:, 1, None], np.float32)
