"""Pseudo-labels by homographic adaptation (DeTone et al., SuperPoint, 2018, section 5).

A detector runs on an image under many random homographies; positions that it detects repeatably become
labels. The first round uses a blob detector instead of a network trained on drawn shapes, the second round a
trained network.
"""

from __future__ import annotations

import signal
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
from realtime_kp.training.blobs import (
    MAX_BLOBS,
    NMS_PX,
    FloatArray,
    GreyImage,
    distinctness,
    find_blobs,
    highest_peaks,
)

if TYPE_CHECKING:
    from realtime_kp.features.superpoint import SuperPoint

WARPS = 24
MAX_LABELS = 500
# Few positions exceed this share of the largest possible strength.
_SURE = 0.25
_LEAST_MASS = 0.1
_LEAST_SCORE = 0.004
_BLUR_SIGMA_PX = 1.0
_MARGIN_PX = 4

# From a view and the mask of the tile in it to `(K, 2)` positions and `(K,)` strengths, 0 to 1.
Detect = Callable[[GreyImage, GreyImage], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector for homographic adaptation.

    Attributes:
        find: Detects positions in a view.
        zoom: Largest scale factor of a view, up and down.
        least: Smallest mean strength of a label.
    """

    find: Detect
    zoom: float
    least: float


BLOBS = Detector(find_blobs, zoom=1.6, least=_SURE * _LEAST_MASS)


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of N tiles.

    Attributes:
        xy: `(N, 500, 2) float32`, pixels of the tile.
        mass: `(N, 500) float32`, confidence of each label, 0 to 1; 0 marks unused entries.
    """

    xy: FloatArray
    mass: FloatArray

    def with_more(self, others: Labels) -> Labels:
        """These labels followed by those of further tiles."""
        return Labels(np.concatenate([self.xy, others.xy]), np.concatenate([self.mass, others.mass]))


def no_labels(count: int) -> Labels:
    """Empty labels for `count` tiles."""
    return Labels(np.zeros((count, MAX_LABELS, 2), np.float32), np.zeros((count, MAX_LABELS), np.float32))


def label_tiles(
    tiles: NDArray[np.uint8],
    seed: int = 0,
    processes: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> Labels:
    """Label all tiles with blobs.

    The confidence of a label combines strength and repeatability; repeatability alone would rank the same
    positions differently in two images.

    Args:
        tiles: `(N, S, S) uint8`.
        seed: Seed of the homographies.
        processes: Number of worker processes.
        progress: Called with the number of tiles done.
    """
    # A forked child inherits locks held by threads that it does not have, such as those of torch and OpenCV.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_leave_ctrl_c_to_the_parent
    ) as pool:
        found = pool.map(partial(_label_blobs, seed=seed), tiles, range(len(tiles)), chunksize=8)
        try:
            return _gather(found, len(tiles), progress)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def relabel_tiles(
    tiles: NDArray[np.uint8],
    blobs: Labels,
    model: str,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Labels:
    """Label all tiles with the keypoints of a trained network.

    Detected repeatably at half to twice the size, they are localised better than blobs in views that shrink.
    A network trained on drawn shapes prefers corners.

    Args:
        tiles: `(N, S, S) uint8`.
        blobs: Labels of the first round; their number and their confidences are reproduced.
        model: A bundled name, or a Hugging Face folder.
        seed: Seed of the homographies.
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
        keypoints = Detector(partial(find_keypoints, superpoint=superpoint), zoom=2.0, least=_LEAST_SCORE)
        rngs = (np.random.default_rng((seed, i)) for i in range(len(tiles)))
        found = (adapt_homographically(tile, rng, keypoints) for tile, rng in zip(tiles, rngs, strict=True))
        return with_confidences_of(_gather(found, len(tiles), progress), blobs)


def with_confidences_of(found: Labels, like: Labels) -> Labels:
    """Replace the scores of labels by the confidences of equal rank of other labels.

    Args:
        found: Labels of a network, whose masses are scores.
        like: Labels of the same tiles with the wanted confidences.

    Returns:
        The positions of `found`; labels beyond the number of confidences are unused.
    """
    scores = found.mass.ravel()
    ranked = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores)]
    masses = np.sort(like.mass[like.mass > 0])[::-1][: len(ranked)]
    mass = np.zeros_like(found.mass)
    mass.ravel()[ranked[: len(masses)]] = masses
    mass[mass < _LEAST_MASS] = 0
    return Labels(found.xy, mass)


def _gather(
    found: Iterable[tuple[FloatArray, FloatArray]], count: int, progress: Callable[[int], None]
) -> Labels:
    labels = no_labels(count)
    for i, (xy, mass) in enumerate(found):
        labels.xy[i, : len(xy)], labels.mass[i, : len(xy)] = xy, mass
        progress(i + 1)
    return labels


def _label_blobs(tile: GreyImage, number: int, seed: int) -> tuple[FloatArray, FloatArray]:
    cv2.setNumThreads(1)
    return label_tile(tile, np.random.default_rng((seed, number)))


def find_keypoints(view: GreyImage, mask: GreyImage, superpoint: SuperPoint) -> tuple[FloatArray, FloatArray]:
    """Keypoints of a network in a view, and their scores."""
    found = superpoint(np.repeat(view[:, :, np.newaxis], 3, axis=2))
    x, y = found.xy.round().astype(int).T
    inside = np.flatnonzero(mask[y, x])
    return found.xy[inside], found.scores[inside]


def label_tile(tile: GreyImage, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Blobs that are repeatable, strong, and distinct in the tile itself.

    Args:
        tile: `(S, S) uint8`.
        rng: Draws the homographies.

    Returns:
        `(K, 2) float32`, most confident first, and `(K,) float32`, confidence, 0 to 1.
    """
    xy, strength = adapt_homographically(tile, rng, BLOBS)
    mass = np.minimum(1, strength / _SURE) * distinctness(tile, xy)
    order = np.argsort(-mass, kind="stable")
    return xy[order], mass[order]


def adapt_homographically(
    tile: GreyImage, rng: np.random.Generator, detector: Detector
) -> tuple[FloatArray, FloatArray]:
    """Positions that a detector finds under many homographies.

    Args:
        tile: `(S, S) uint8`.
        rng: Draws the homographies and degrades the views.
        detector: The detector.

    Returns:
        `(K, 2) float32`, strongest first, and `(K,) float32`, mean strength over all views that show the
        position.
    """
    side = tile.shape[0]
    found, shown = np.zeros(tile.shape, np.float32), np.zeros(tile.shape, np.float32)
    inside = np.ones(tile.shape, np.uint8)
    for number in range(WARPS):
        matrix = np.eye(3) if number == 0 else _random_homography(side, rng, detector.zoom)
        view = cv2.warpPerspective(tile, matrix, (side, side), flags=cv2.INTER_LINEAR)
        mask = cv2.warpPerspective(inside, matrix, (side, side), flags=cv2.INTER_NEAREST)
        mask = cv2.erode(mask, np.ones((2 * _MARGIN_PX + 1,) * 2), borderValue=0)
        if number:
            view = _worse(view, rng)
        back = np.linalg.inv(matrix)
        shown += cv2.warpPerspective(mask, back, (side, side), flags=cv2.INTER_NEAREST)
        xy, strength = detector.find(view, mask)
        if len(xy):
            _splat(found, cv2.perspectiveTransform(xy[:, np.newaxis], back)[:, 0], strength)
    # The height is 1 where all views detect one position with the largest strength.
    bumps = cv2.GaussianBlur(found, (0, 0), _BLUR_SIGMA_PX) * (2 * np.pi * _BLUR_SIGMA_PX**2)
    mean = np.where(shown >= WARPS / 4, bumps / np.maximum(shown, 1), 0)
    return _peaks(mean.astype(np.float32), detector.least)


def _worse(view: GreyImage, rng: np.random.Generator) -> GreyImage:
    view = cv2.GaussianBlur(view, (0, 0), float(rng.uniform(0.3, 1.5)))
    noise = rng.normal(0, rng.uniform(1, 10), view.shape)
    return np.clip(view + noise, 0, 255).astype(np.uint8)


def _splat(sums: FloatArray, xy: FloatArray, weights: FloatArray) -> None:
    """Add a weight at each position, distributed bilinearly over four pixels."""
    side = sums.shape[0]
    left, top = np.floor(xy).astype(int).T
    part_x, part_y = (xy - np.floor(xy)).T
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = left + dx, top + dy
        weight = weights * np.abs(1 - dx - part_x) * np.abs(1 - dy - part_y)
        good = (x >= 0) & (x < side) & (y >= 0) & (y < side)
        np.add.at(sums, (y[good], x[good]), weight[good])


def _peaks(mass: FloatArray, least: float) -> tuple[FloatArray, FloatArray]:
    x, y = highest_peaks(mass, mass >= least, _MARGIN_PX, MAX_LABELS)
    # Sub-pixel position: centre of mass of 5×5 pixels.
    steps = np.arange(-2, 3)
    dy, dx = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    weights = mass[y[:, None] + dy, x[:, None] + dx]
    total = np.maximum(weights.sum(axis=1), 1e-9)
    shift = np.stack([(weights * dx).sum(axis=1), (weights * dy).sum(axis=1)], axis=1) / total[:, None]
    return np.asarray(np.stack([x, y], axis=1) + shift, np.float32), mass[y, x]


def _random_homography(side: int, rng: np.random.Generator, zoom: float) -> NDArray[np.float64]:
    """Rotation up to 45°, scale up to `zoom` both ways, compression to 0.45, perspective."""
    angle, direction = np.deg2rad(rng.uniform(-45, 45)), rng.uniform(0, np.pi)
    scale, squeeze = np.exp(rng.uniform(-np.log(zoom), np.log(zoom))), rng.uniform(0.45, 1)
    across = turn(direction)
    matrix = scale * turn(angle) @ across @ np.diag([squeeze, 1]) @ across.T
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float64)
    middle = side / 2
    moved = (corners - middle + rng.uniform(-0.1, 0.1, (4, 2)) * side) @ matrix.T + middle
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32)))


def turn(angle: float) -> NDArray[np.float64]:
    """`(2, 2)` rotation matrix; radians, from x towards y."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
