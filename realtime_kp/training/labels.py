"""Pseudo-labels: corners that a detector finds again under many homographies.

Homographic adaptation (DeTone et al., SuperPoint, 2018, section 5) of a corner detector (Shi and Tomasi,
1994) instead of a network trained on drawn shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

WARPS = 48
MAX_LABELS = 350
MIN_SHARE = 0.35
_BLUR_SIGMA_PX = 1.0
_NMS_PX = 4
_MARGIN_PX = 4

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Labels:
    """Places of N tiles.

    Attributes:
        xy: `(N, 350, 2) float32`, pixels of the tile.
        count: `(N,) int32`, how many of them are places; the others are void.
    """

    xy: FloatArray
    count: NDArray[np.int32]


def label_tiles(
    tiles: NDArray[np.uint8],
    seed: int = 0,
    processes: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> Labels:
    """Label all tiles.

    Args:
        tiles: `(N, S, S) uint8`.
        seed: Of the homographies.
        processes: How many work at once.
        progress: Called with the number of tiles done.
    """
    xy = np.zeros((len(tiles), MAX_LABELS, 2), np.float32)
    count = np.zeros(len(tiles), np.int32)
    # A forked child inherits locks of threads that it has not: torch's and OpenCV's may be held.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        found = pool.map(partial(_label, seed=seed), tiles, range(len(tiles)), chunksize=8)
        for i, places in enumerate(found):
            count[i] = len(places)
            xy[i, : len(places)] = places
            progress(i + 1)
    return Labels(xy, count)


def _label(tile: NDArray[np.uint8], number: int, seed: int) -> FloatArray:
    cv2.setNumThreads(1)
    return label_tile(tile, np.random.default_rng((seed, number)))


def label_tile(tile: NDArray[np.uint8], rng: np.random.Generator) -> FloatArray:
    """Corners of one tile that are found again in at least 35 % of the views that show them.

    Args:
        tile: `(S, S) uint8`.
        rng: Draws the homographies.

    Returns:
        `(K, 2) float32`, most dependable first.
    """
    side = tile.shape[0]
    found, shown = np.zeros(tile.shape, np.float32), np.zeros(tile.shape, np.float32)
    inside = np.ones(tile.shape, np.float32)
    for number in range(WARPS):
        matrix = np.eye(3) if number == 0 else _random_homography(side, rng)
        view = cv2.warpPerspective(tile, matrix, (side, side), flags=cv2.INTER_LINEAR)
        mask = cv2.warpPerspective(inside, matrix, (side, side), flags=cv2.INTER_NEAREST)
        mask = cv2.erode(mask, np.ones((2 * _MARGIN_PX + 1,) * 2), borderValue=0)
        if number:
            view = cv2.GaussianBlur(view, (0, 0), float(rng.uniform(0.3, 1.2)))
            noise = rng.normal(0, rng.uniform(1, 5), view.shape)
            view = np.clip(view + noise, 0, 255).astype(np.uint8)
        corners = cv2.goodFeaturesToTrack(view, 600, 0.005, _NMS_PX, mask=mask.astype(np.uint8))
        back = np.linalg.inv(matrix)
        shown += cv2.warpPerspective(mask, back, (side, side), flags=cv2.INTER_NEAREST)
        if corners is None:
            continue
        exact = cv2.cornerSubPix(
            view, corners, (2, 2), (-1, -1), (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
        )
        _splat(found, cv2.perspectiveTransform(exact, back)[:, 0])
    # A bump of the height 1 wherever all views agree on one place.
    bumps = cv2.GaussianBlur(found, (0, 0), _BLUR_SIGMA_PX) * (2 * np.pi * _BLUR_SIGMA_PX**2)
    share = np.where(shown >= WARPS / 4, bumps / np.maximum(shown, 1), 0).astype(np.float32)
    return _peaks(share)


def _splat(counts: FloatArray, xy: FloatArray) -> None:
    """Add 1 at each place, shared by the four pixels around it."""
    side = counts.shape[0]
    left, top = np.floor(xy).astype(int).T
    part_x, part_y = (xy - np.floor(xy)).T
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = left + dx, top + dy
        weight = np.abs(1 - dx - part_x) * np.abs(1 - dy - part_y)
        good = (x >= 0) & (x < side) & (y >= 0) & (y < side)
        np.add.at(counts, (y[good], x[good]), weight[good])


def _peaks(share: FloatArray) -> FloatArray:
    highest = cv2.dilate(share, np.ones((2 * _NMS_PX + 1,) * 2))
    peak = (share == highest) & (share >= MIN_SHARE)
    peak[:_MARGIN_PX] = peak[-_MARGIN_PX:] = False
    peak[:, :_MARGIN_PX] = peak[:, -_MARGIN_PX:] = False
    y, x = np.nonzero(peak)
    order = np.argsort(-share[y, x], kind="stable")[:MAX_LABELS]
    y, x = y[order], x[order]
    # The centre of mass of 5×5 pixels says where between the pixels it is.
    steps = np.arange(-2, 3)
    dy, dx = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    weights = share[y[:, None] + dy, x[:, None] + dx]
    total = np.maximum(weights.sum(axis=1), 1e-9)
    shift = np.stack([(weights * dx).sum(axis=1), (weights * dy).sum(axis=1)], axis=1) / total[:, None]
    return np.asarray(np.stack([x, y], axis=1) + shift, np.float32)


def _random_homography(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.normal(0, np.deg2rad(25))
    scale = np.exp(rng.normal(0, 0.25))
    centre = (side - 1) / 2
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    shift = centre + rng.normal(0, 0.06 * side, 2)
    similar = np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]], [0, 0, 1]]) @ np.array(
        [[1, 0, -centre], [0, 1, -centre], [0, 0, 1]]
    )
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    moved = corners + rng.normal(0, 0.06 * side, (4, 2)).astype(np.float32)
    return np.asarray(similar @ cv2.getPerspectiveTransform(corners, moved))
