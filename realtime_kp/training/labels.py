"""Pseudo-labels: places that a detector finds again under many homographies.

Homographic adaptation (DeTone et al., SuperPoint, 2018, section 5), in a first round of blobs instead of a
network trained on drawn shapes, in a second one of a network of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.training.blobs import MAX_BLOBS, NMS_PX, FloatArray, GreyImage, find_blobs

if TYPE_CHECKING:
    from realtime_kp.features.superpoint import SuperPoint

WARPS = 32
MAX_LABELS = 500
MIN_SHARE = 0.3
# Hardly any place is found again in more than this share of the views.
_SURE_SHARE = 0.9
_BLUR_SIGMA_PX = 1.0
_MARGIN_PX = 4

# From a view, and where it shows the tile, to `(K, 2)` places.
Detect = Callable[[GreyImage, GreyImage], FloatArray]


@dataclass(frozen=True, slots=True)
class Labels:
    """Places of N tiles.

    Attributes:
        xy: `(N, 500, 2) float32`, pixels of the tile.
        mass: `(N, 500) float32`, 0 to 1: how surely each is a keypoint; 0 where it is void.
    """

    xy: FloatArray
    mass: FloatArray


def label_tiles(
    tiles: NDArray[np.uint8],
    seed: int = 0,
    processes: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> Labels:
    """Label all tiles with blobs; the more often one is found again, the more surely it is a keypoint.

    Args:
        tiles: `(N, S, S) uint8`.
        seed: Of the homographies.
        processes: How many work at once.
        progress: Called with the number of tiles done.
    """
    # A forked child inherits locks of threads that it has not: torch's and OpenCV's may be held.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        found = pool.map(partial(_label_blobs, seed=seed), tiles, range(len(tiles)), chunksize=8)
        return _gather(found, len(tiles), progress)


def label_tiles_anew(
    tiles: NDArray[np.uint8],
    model: str,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Labels:
    """Label all tiles with the keypoints of a trained network in the same way.

    Args:
        tiles: `(N, S, S) uint8`.
        model: A bundled name, or a Hugging Face folder.
        seed: Of the homographies.
        progress: Called with the number of tiles done.
    """
    from realtime_kp.features.superpoint import SuperPoint

    height, width = tiles.shape[1:]
    config = SuperPointConfig(
        model=model,
        resize=f"{width}x{height}",
        max_keypoints=MAX_BLOBS,
        nms_radius=NMS_PX,
        keypoint_threshold=0.005,
    )
    with SuperPoint(config) as superpoint:
        detect = partial(find_keypoints, superpoint=superpoint)

        found = (label_tile(tile, np.random.default_rng((seed, i)), detect) for i, tile in enumerate(tiles))
        return _gather(found, len(tiles), progress)


def _gather(
    found: Iterable[tuple[FloatArray, FloatArray]], count: int, progress: Callable[[int], None]
) -> Labels:
    labels = Labels(np.zeros((count, MAX_LABELS, 2), np.float32), np.zeros((count, MAX_LABELS), np.float32))
    for i, (xy, share) in enumerate(found):
        labels.xy[i, : len(xy)], labels.mass[i, : len(xy)] = xy, np.minimum(1, share / _SURE_SHARE)
        progress(i + 1)
    return labels


def _label_blobs(tile: GreyImage, number: int, seed: int) -> tuple[FloatArray, FloatArray]:
    cv2.setNumThreads(1)
    return label_tile(tile, np.random.default_rng((seed, number)))


def find_keypoints(view: GreyImage, mask: GreyImage, superpoint: SuperPoint) -> FloatArray:
    """Keypoints of a network."""
    xy = superpoint(np.repeat(view[:, :, np.newaxis], 3, axis=2)).xy
    x, y = xy.round().astype(int).T
    return np.asarray(xy[mask[y, x] > 0])


def label_tile(
    tile: GreyImage,
    rng: np.random.Generator,
    detect: Detect = find_blobs,
) -> tuple[FloatArray, FloatArray]:
    """What is found again in at least 30 % of the views that show it.

    Args:
        tile: `(S, S) uint8`.
        rng: Draws the homographies.
        detect: Finds places in a view.

    Returns:
        `(K, 2) float32`, most dependable first, and `(K,) float32`, their shares.
    """
    side = tile.shape[0]
    found, shown = np.zeros(tile.shape, np.float32), np.zeros(tile.shape, np.float32)
    inside = np.ones(tile.shape, np.uint8)
    for number in range(WARPS):
        matrix = np.eye(3) if number == 0 else _random_homography(side, rng)
        view = cv2.warpPerspective(tile, matrix, (side, side), flags=cv2.INTER_LINEAR)
        mask = cv2.warpPerspective(inside, matrix, (side, side), flags=cv2.INTER_NEAREST)
        mask = cv2.erode(mask, np.ones((2 * _MARGIN_PX + 1,) * 2), borderValue=0)
        if number:
            view = _worse(view, rng)
        back = np.linalg.inv(matrix)
        shown += cv2.warpPerspective(mask, back, (side, side), flags=cv2.INTER_NEAREST)
        xy = detect(view, mask)
        if len(xy):
            _splat(found, cv2.perspectiveTransform(xy[:, np.newaxis], back)[:, 0])
    # A bump of the height 1 wherever all views agree on one place.
    bumps = cv2.GaussianBlur(found, (0, 0), _BLUR_SIGMA_PX) * (2 * np.pi * _BLUR_SIGMA_PX**2)
    share = np.where(shown >= WARPS / 4, bumps / np.maximum(shown, 1), 0).astype(np.float32)
    return _peaks(share)


def _worse(view: GreyImage, rng: np.random.Generator) -> GreyImage:
    view = cv2.GaussianBlur(view, (0, 0), float(rng.uniform(0.3, 1.5)))
    noise = rng.normal(0, rng.uniform(1, 10), view.shape)
    return np.clip(view + noise, 0, 255).astype(np.uint8)


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


def _peaks(share: FloatArray) -> tuple[FloatArray, FloatArray]:
    highest = cv2.dilate(share, np.ones((2 * NMS_PX + 1,) * 2))
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
    return np.asarray(np.stack([x, y], axis=1) + shift, np.float32), share[y, x]


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
