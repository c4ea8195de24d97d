"""Key patches: the appearance of a track where it began, and alignment of an image to it.

Inverse compositional Lucas–Kanade (Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 2004) on patches of
zero mean and unit norm, which makes it invariant to gain and offset. Gradients and Hessian are those of the
key patch: they are computed once per track, and alignment does not accumulate drift.
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
IntArray = NDArray[np.intp]

_ONES = np.ones(SAMPLES, np.float32)
_AFFINE_PRIOR = 0.3
_LARGEST_CHANGE = 0.05
_SMALLEST_NORM = 1e-3
_RIDGE = 1e-6
_MAX_ITERATIONS = 6
_CONVERGED_PX = 0.12
_DIVERGED = 0.3
_LEAST_RESIDUAL = 1e-4
_PART_ITERATIONS = 3
_MAX_PART_VARIANCE = 6.0


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
    norm = np.maximum(np.linalg.norm(patch, axis=1, keepdims=True), _SMALLEST_NORM)
    patch /= norm
    dx, dy = slopes_at(grey, xy)
    slopes = np.stack([dx, dy, dx * GRID_X, dx * GRID_Y, dy * GRID_X, dy * GRID_Y], axis=1)
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

    def align_parts(
        self, grey: FloatArray, slots: IntArray, xy: FloatArray, affine: FloatArray, parts: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Align by a part of the patch, of points that something else covers or the border cuts.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)`, slots of the key patches.
            xy: `(N, 2)`, initial positions, at most about a pixel off.
            affine: `(N, 2, 2)`, from pixels of the key patch to pixels of the image.
            parts: `(N, 121) float32`, 1 for the samples to use, 0 for the others.

        Returns:
            `(N, 2)` positions, and `(N,)` normalised cross-correlation of the parts before the last step; 0
            where the part determines the position much less than the whole patch does.
        """
        keys = self._steps.take(slots, axis=0)
        steps, conditioned = _steps_of_parts(keys[:, :2], parts)
        key, size = _within(keys[:, 2], parts)
        xy, correlation = xy.copy(), np.zeros(len(xy), np.float32)
        for _ in range(_PART_ITERATIONS):
            patch, _ = _within(sample(grey, xy, affine), parts)
            correlation = np.einsum("np,np->n", patch, key)
            xy -= _apply(affine, np.matmul(steps, ((patch - key) * size)[..., None])[..., 0])
        return xy, np.where(conditioned, correlation, 0).astype(np.float32)

    def most_similar_part(
        self, grey: FloatArray, slots: IntArray, xy: FloatArray, affine: FloatArray, parts: FloatArray
    ) -> IntArray:
        """Which part of each patch resembles its key patch most, before any alignment.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)`, slots of the key patches.
            xy: `(N, 2)`, positions, pixels.
            affine: `(N, 2, 2)`, from pixels of the key patch to pixels of the image.
            parts: `(P, 121) float32`, 1 for the samples of a part, 0 for the others.

        Returns:
            `(N,)`, row of `parts`.
        """
        keys, patches = self._steps[slots, 2], sample(grey, xy, affine)
        similar = [
            np.einsum("np,np->n", _within(patches, part[None])[0], _within(keys, part[None])[0])
            for part in parts
        ]
        return np.asarray(np.argmax(similar, axis=0), np.intp)

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


def _steps_of_parts(steps: FloatArray, parts: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Rows like the first two of a key patch, for parts of it; and whether those determine the position.

    Args:
        steps: `(N, 2, 121)`, of the whole patches: the inverse Hessian times the slopes.
        parts: `(N, 121)`.
    """
    covariance = np.matmul(steps, steps.transpose(0, 2, 1))
    slopes = np.matmul(np.linalg.inv(covariance), steps) * parts[:, None]
    hessian = np.matmul(slopes, slopes.transpose(0, 2, 1))
    variance = np.trace(covariance, axis1=1, axis2=2)
    ridge = np.float32(_RIDGE) / variance[:, None, None] * np.eye(2, dtype=np.float32)
    inverse = np.linalg.inv(hessian + ridge)
    conditioned = np.trace(inverse, axis1=1, axis2=2) <= _MAX_PART_VARIANCE * variance
    return np.asarray(np.matmul(inverse, slopes), np.float32), np.asarray(conditioned)


def _within(patches: FloatArray, parts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Parts of patches `(N, 121)`, of zero mean and unit norm, and the norms `(N, 1)` that they had."""
    mean = (patches * parts).sum(axis=1, keepdims=True) / np.maximum(parts.sum(axis=1, keepdims=True), 1)
    centred = (patches - mean) * parts
    norm = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _SMALLEST_NORM)
    return centred / norm, norm


def _apply(affine: FloatArray, shift: FloatArray) -> FloatArray:
    return np.asarray(affine[:, :, 0] * shift[:, 0, None] + affine[:, :, 1] * shift[:, 1, None], np.float32)
