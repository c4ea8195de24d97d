"""The key patches of all tracks, and alignment of an image to them.

Inverse compositional Lucas–Kanade (Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 2004): gradients and
Hessian are those of the key patch, and alignment does not accumulate drift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.key_patches import SMALLEST_NORM, FloatArray, KeyPatches, project
from realtime_kp.tracking.patch_sampling import REACH_PX, SAMPLES, sample

IntArray = NDArray[np.intp]

_LARGEST_CHANGE = 0.05
_MAX_ITERATIONS = 6
_CONVERGED_PX = 0.12
_DIVERGED = 0.3
_LEAST_RESIDUAL = 1e-4
_PART_ITERATIONS = 3
_SHAPE_ITERATIONS = 8
_CONVERGED_SHAPE = 0.01
_MAX_PART_VARIANCE = 6.0
_RIDGE = 1e-6


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

    def get(self, slots: IntArray) -> KeyPatches:
        """Copies of the key patches in some slots."""
        return KeyPatches(self._steps[slots], self._shapes[slots])

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
            found = project(steps, sample(grey, xy[rows], affine[rows]))
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

    def align_with_shape(
        self, grey: FloatArray, slots: IntArray, xy: FloatArray, affine: FloatArray, max_turn: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Shift positions and change affine maps, both in each step, until the image matches the key patches.

        Where the border of the image cuts a patch, its affine map stays.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)`, slots of the key patches.
            xy: `(N, 2)`, initial positions, pixels.
            affine: `(N, 2, 2)`, initial affine maps.
            max_turn: Largest change of an element of an affine map.

        Returns:
            `(N, 2)` positions, `(N, 2, 2)` affine maps, and `(N,)` normalised cross-correlation before the
            last step; 0 where the affine map changed by more.
        """
        start, xy, affine = affine, xy.copy(), affine.copy()
        correlation = np.zeros(len(xy), np.float32)
        rows = np.arange(len(xy))
        shapes = self._shapes_of_whole_patches(grey, slots, xy)
        steps = np.concatenate([self._steps.take(slots, axis=0), shapes], axis=1)
        for _ in range(_SHAPE_ITERATIONS):
            found = project(steps, sample(grey, xy[rows], affine[rows]))
            shift = _apply(affine[rows], found)
            xy[rows] -= shift
            affine[rows] = _changed(affine[rows], found[:, 3:])
            correlation[rows] = found[:, 2]
            moving = np.abs(shift).max(axis=1) > _CONVERGED_PX
            moving |= np.abs(found[:, 3:]).max(axis=1) > _CONVERGED_SHAPE
            kept = np.flatnonzero(moving & (found[:, 2] > _DIVERGED))
            rows, steps = rows[kept], steps.take(kept, axis=0)
            if len(rows) == 0:
                break
        correlation[np.abs(affine - start).max(axis=(1, 2)) > max_turn] = 0
        return xy, affine, correlation

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

        Where the border of the image cuts a patch, its affine map stays.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)`, slots of the key patches.
            xy: `(N, 2)`, positions, pixels.
            affine: `(N, 2, 2)`.

        Returns:
            `(N, 2, 2)` affine maps.
        """
        return _changed(
            affine, project(self._shapes_of_whole_patches(grey, slots, xy), sample(grey, xy, affine))
        )

    def _shapes_of_whole_patches(self, grey: FloatArray, slots: IntArray, xy: FloatArray) -> FloatArray:
        """`(N, 4, 121)`: `KeyPatches.shapes`, 0 where the border cuts a patch: edge pixels would bend it."""
        far = np.array(grey.shape[::-1]) - 1 - REACH_PX
        shapes = self._shapes.take(slots, axis=0)
        shapes[((xy < REACH_PX) | (xy > far)).any(axis=1)] = 0
        return shapes

    def _grow(self) -> None:
        capacity = len(self._steps)
        self._steps = np.concatenate([self._steps, np.zeros_like(self._steps)])
        self._shapes = np.concatenate([self._shapes, np.zeros_like(self._shapes)])
        self._radii = np.concatenate([self._radii, np.zeros_like(self._radii)])
        self._free = list(range(2 * capacity - 1, capacity - 1, -1)) + self._free


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
    norm = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), SMALLEST_NORM)
    return centred / norm, norm


def _changed(affine: FloatArray, change: FloatArray) -> FloatArray:
    """Affine maps `(N, 2, 2)` after changes `(N, 4)`, of limited size, of the key patch's side."""
    largest = np.float32(_LARGEST_CHANGE)
    change = np.clip(change.reshape(-1, 2, 2), -largest, largest)
    return np.asarray(affine - np.matmul(affine, change), np.float32)


def _apply(affine: FloatArray, shift: FloatArray) -> FloatArray:
    return np.asarray(affine[:, :, 0] * shift[:, 0, None] + affine[:, :, 1] * shift[:, 1, None], np.float32)
