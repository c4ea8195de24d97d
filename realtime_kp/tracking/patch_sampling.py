"""Patches of samples around positions in an image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

SIDE = 11
STEP_PX = 1.75
REACH_PX = (SIDE // 2) * STEP_PX
SAMPLES = SIDE * SIDE

_OFFSETS = (np.arange(SIDE, dtype=np.float32) - SIDE // 2) * np.float32(STEP_PX)
GRID_X = np.tile(_OFFSETS, SIDE)
GRID_Y = np.repeat(_OFFSETS, SIDE)
_GRID = np.stack([GRID_X, GRID_Y, np.ones_like(GRID_X)])
_REMAP_ROWS = 30_000  # OpenCV counts them in 16 bits


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


def positions_of_samples(xy: FloatArray, affine: FloatArray) -> FloatArray:
    """`(2, N, 121)`: x and y of the samples of patches at positions `(N, 2)` with affine maps `(N, 2, 2)`."""
    maps = np.concatenate([affine, xy[:, :, None]], axis=2).transpose(1, 0, 2)
    return np.asarray(np.matmul(maps, _GRID), np.float32)


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
    dx, dy = slopes_at(grey, xy)
    dx -= dx.mean(axis=1, keepdims=True)
    dy -= dy.mean(axis=1, keepdims=True)
    xx, yy, cross = (np.einsum("np,np->n", a, b) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    return np.asarray((xx + yy) / 2 - np.hypot((xx - yy) / 2, cross), np.float32)


def slopes_at(grey: FloatArray, xy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`(N, 121)` derivatives along x and y, by central differences."""
    upright = identity_maps(len(xy))
    right, down = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    dx = sample(grey, xy + right, upright) - sample(grey, xy - right, upright)
    dy = sample(grey, xy + down, upright) - sample(grey, xy - down, upright)
    return np.asarray(dx / 2, np.float32), np.asarray(dy / 2, np.float32)


def identity_maps(count: int) -> FloatArray:
    """`(N, 2, 2) float32`: affine maps that change nothing."""
    return np.tile(np.eye(2, dtype=np.float32), (count, 1, 1))
