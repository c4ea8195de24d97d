"""Key patches: how a track looked when it began, and the alignment of a picture to that look.

Lucas–Kanade in its inverse compositional form (Baker and Matthews, Lucas-Kanade 20 years on, IJCV 2004) on
patches of zero mean and unit length, which makes it blind to gain and offset. Gradients and Hessian belong
to the key patch, so they are computed once in a track's life, and aligning never drifts.
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
_GRID = np.stack([_GRID_X, _GRID_Y, np.ones_like(_GRID_X)])
_REMAP_ROWS = 30_000  # OpenCV counts them in 16 bits
_AFFINE_PRIOR = 0.3
_LARGEST_CHANGE = 0.05
_SMALLEST_NORM = 1e-3
_RIDGE = 1e-6
_MOST_ITERATIONS = 6
_SETTLED_PX = 0.12
_HOPELESS = 0.3


@dataclass(frozen=True, slots=True)
class KeyPatches:
    """Patches of N tracks as they are aligned to.

    Attributes:
        steps: `(N, 3, 121) float32`: two rows that turn a sampled patch into the shift (x, y) it is off by,
            in the key's pixels times the patch's contrast; then the patch itself, zero mean, unit length.
        shapes: `(N, 4, 121) float32`: the same for the change of the affine map, row by row.
    """

    steps: FloatArray
    shapes: FloatArray

    def __len__(self) -> int:
        return len(self.steps)


def sample(grey: FloatArray, xy: FloatArray, affine: FloatArray) -> FloatArray:
    """Cut patches out of a picture.

    Args:
        grey: `(H, W) float32`; beyond its edges it goes on as at the edge.
        xy: `(N, 2)` centres.
        affine: `(N, 2, 2)` from patch to picture pixels.

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


def sharpness(grey: FloatArray, xy: FloatArray) -> FloatArray:
    """How well the surroundings of places pin them down, in both directions.

    The smaller eigenvalue of the structure tensor (Shi and Tomasi, Good features to track, CVPR 1994)
    summed over the patch, in grey levels² per pixel²: noise of σ grey levels moves an alignment by about `σ
    / sqrt(sharpness)` pixels.

    Args:
        grey: `(H, W) float32`.
        xy: `(N, 2)` places.

    Returns:
        `(N,) float32`.
    """
    dx, dy = _slopes(grey, xy)
    dx -= dx.mean(axis=1, keepdims=True)
    dy -= dy.mean(axis=1, keepdims=True)
    xx, yy, cross = (np.einsum("np,np->n", a, b) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    return np.asarray((xx + yy) / 2 - np.hypot((xx - yy) / 2, cross), np.float32)


def cut_keys(grey: FloatArray, xy: FloatArray) -> KeyPatches:
    """Make key patches of places in a picture.

    Args:
        grey: `(H, W) float32`.
        xy: `(N, 2)` places.
    """
    patch = sample(grey, xy, _upright(len(xy)))
    patch -= patch.mean(axis=1, keepdims=True)
    norm = np.maximum(np.linalg.norm(patch, axis=1, keepdims=True), _SMALLEST_NORM)
    patch /= norm
    dx, dy = _slopes(grey, xy)
    slopes = np.stack([dx, dy, dx * _GRID_X, dx * _GRID_Y, dy * _GRID_X, dy * _GRID_Y], axis=1)
    slopes /= norm[:, None]
    # Gain and offset are free: only the part of each slope beyond them tells anything.
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= np.matmul(slopes, patch[..., None]) * patch[:, None]
    hessian = np.matmul(slopes, slopes.transpose(0, 2, 1))
    strength = np.maximum(np.trace(hessian[:, :2, :2], axis1=1, axis2=2), _SMALLEST_NORM)[:, None, None]
    shift = hessian[:, :2, :2] + np.float32(_RIDGE) * strength * np.eye(2, dtype=np.float32)
    # A shape that the picture hardly determines stays as it is.
    ridge = np.diag([_RIDGE, _RIDGE, *4 * [_AFFINE_PRIOR * REACH_PX]]).astype(np.float32)
    whole = hessian + strength * ridge
    steps = np.matmul(np.linalg.inv(shift), slopes[:, :2])
    shapes = np.matmul(np.linalg.inv(whole)[:, 2:], slopes)
    return KeyPatches(np.concatenate([steps, patch[:, None]], axis=1), shapes)


def _upright(count: int) -> FloatArray:
    return np.tile(np.eye(2, dtype=np.float32), (count, 1, 1))


def _slopes(grey: FloatArray, xy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`(N, 121)` derivatives along x and y, by central differences."""
    upright = _upright(len(xy))
    right, down = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    dx = sample(grey, xy + right, upright) - sample(grey, xy - right, upright)
    dy = sample(grey, xy + down, upright) - sample(grey, xy - down, upright)
    return np.asarray(dx / 2, np.float32), np.asarray(dy / 2, np.float32)


class PatchPool:
    """Key patches of all tracks, each at a slot that stays its own while the track lives.

    Args:
        capacity: Slots to begin with; it grows as needed.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._steps = np.zeros((capacity, 3, SAMPLES), np.float32)
        self._shapes = np.zeros((capacity, 4, SAMPLES), np.float32)
        self._free = list(range(capacity - 1, -1, -1))

    def put(self, keys: KeyPatches) -> IntArray:
        """Store key patches and say at which slots."""
        while len(self._free) < len(keys):
            self._grow()
        slots = np.array([self._free.pop() for _ in range(len(keys))], np.intp)
        self.replace(slots, keys)
        return slots

    def replace(self, slots: IntArray, keys: KeyPatches) -> None:
        """Give slots new key patches."""
        self._steps[slots], self._shapes[slots] = keys.steps, keys.shapes

    def release(self, slots: IntArray) -> None:
        """Let others use these slots."""
        self._free += slots.tolist()

    def align(
        self, grey: FloatArray, slots: IntArray, xy: FloatArray, affine: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Shift places until the picture there looks like the key patches.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)` of the key patches.
            xy: `(N, 2)` places to start from, pixels; found if no more than about 3 px off.
            affine: `(N, 2, 2)` from the keys' pixels to the picture's.

        Returns:
            `(N, 2)` places and `(N,)` normalised cross-correlation before the last, smallest step.
        """
        xy, likeness = xy.copy(), np.zeros(len(xy), np.float32)
        rows, steps = np.arange(len(xy)), self._steps[slots]
        for _ in range(_MOST_ITERATIONS):
            found = _project(steps, sample(grey, xy[rows], affine[rows]))
            shift = _apply(affine[rows], found)
            xy[rows] -= shift
            likeness[rows] = found[:, 2]
            # Most are there at once; the others get a few more steps.
            moving = (np.abs(shift).max(axis=1, initial=0) > _SETTLED_PX) & (found[:, 2] > _HOPELESS)
            rows, steps = rows[moving], steps[moving]
            if len(rows) == 0:
                break
        return xy, likeness

    def adapt(self, grey: FloatArray, slots: IntArray, xy: FloatArray, affine: FloatArray) -> FloatArray:
        """One Gauss–Newton step of the affine maps, at places that are aligned already.

        Args:
            grey: `(H, W) float32`.
            slots: `(N,)` of the key patches.
            xy: `(N, 2)`, pixels.
            affine: `(N, 2, 2)`.

        Returns:
            `(N, 2, 2)` affine maps.
        """
        change = _project(self._shapes[slots], sample(grey, xy, affine)).reshape(-1, 2, 2)
        largest = np.float32(_LARGEST_CHANGE)
        change = np.clip(change, -largest, largest)
        return np.asarray(affine - np.matmul(affine, change), np.float32)

    def _grow(self) -> None:
        capacity = len(self._steps)
        self._steps = np.concatenate([self._steps, np.zeros_like(self._steps)])
        self._shapes = np.concatenate([self._shapes, np.zeros_like(self._shapes)])
        self._free = list(range(2 * capacity - 1, capacity - 1, -1)) + self._free


def likeness(a: FloatArray, b: FloatArray) -> FloatArray:
    """Normalised cross-correlation of `(N, 121)` patches with each other, row by row."""
    centred = a - a.mean(axis=1, keepdims=True)
    norm = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _SMALLEST_NORM)
    return _project((centred / norm)[:, None], b)[:, 0]


def _project(rows: FloatArray, patches: FloatArray) -> FloatArray:
    """Inner products of `(N, R, P)` rows of zero mean with patches made zero mean and unit length."""
    total = patches.sum(axis=1)
    spread = np.einsum("np,np->n", patches, patches) - total * total / SAMPLES
    norm = np.sqrt(np.maximum(spread, _SMALLEST_NORM))
    return np.asarray(np.matmul(rows, patches[..., None])[..., 0] / norm[:, None], np.float32)


def _apply(affine: FloatArray, shift: FloatArray) -> FloatArray:
    return np.asarray(affine[:, :, 0] * shift[:, 0, None] + affine[:, :, 1] * shift[:, 1, None], np.float32)
