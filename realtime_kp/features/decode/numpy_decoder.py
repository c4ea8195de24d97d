"""Decoding in OpenCV and NumPy, for CPUs; only pixels above the threshold are processed.

On a CPU the overhead of torch for the many small steps exceeds their computation.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.features.checks import check_outputs
from realtime_kp.features.decode.settings import (
    CELL,
    REFINE_REACH_PX,
    SUPPRESSION_ROUNDS,
    DecodeSettings,
    HostArrays,
    block_px,
    grid_scale,
)

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

_SMALLEST_NORM = 1e-12


def decode_arrays(
    logits: FloatArray,
    descriptor_maps: FloatArray,
    settings: DecodeSettings,
    threshold: float = 0.0,
    masks: NDArray[np.uint8] | None = None,
) -> HostArrays:
    """Decode the outputs of both heads into the best keypoints of each image.

    Args:
        logits: `(B, 65, h, w)`; the last channel is the "no keypoint" bin.
        descriptor_maps: `(B, h, w, D)`, not normalised.
        settings: Settings of decoding.
        threshold: Only keypoints that score above it are returned.
        masks: `(B, 8h, 8w) uint8`, 0 where there must be no keypoint; None masks nothing.

    Returns:
        Positions, scores and descriptors as in `DecodedBatch`, with as many rows as the image with the most
        keypoints; missing rows of the others have score 0.
    """
    found = []
    for number, (cells, descriptor_map) in enumerate(zip(logits, descriptor_maps, strict=True)):
        heat = heatmap(cells)
        # Before suppression and top-k: what is masked out takes nobody's place.
        heat = heat if masks is None else cv2.copyTo(heat, masks[number])
        xy, scores = find_peaks(heat, settings, threshold)
        found.append((xy, scores, sample_descriptors(descriptor_map, xy, settings)))
    if len(found) == 1:
        return tuple(part[None] for part in found[0])  # type: ignore[return-value]
    rows = max(len(scores) for _, scores, _ in found)
    return tuple(np.stack([_padded(part, rows) for part in parts]) for parts in zip(*found, strict=True))  # type: ignore[return-value]


def _padded(part: FloatArray, rows: int) -> FloatArray:
    return np.pad(part, ((0, rows - len(part)), *((0, 0),) * (part.ndim - 1)))


def heatmap(cells: FloatArray) -> FloatArray:
    """Soft-max over the 64 positions of each 8×8 cell and "no keypoint", as a full-size heat map.

    Args:
        cells: `(65, h, w)`, logits.

    Returns:
        `(8h, 8w) float32`, probabilities.

    Raises:
        ModelError: A logit is NaN or infinite.
    """
    _, rows, columns = cells.shape
    highest = cells.max(axis=0)
    # With NaN among its logits a cell would merely have no keypoint.
    check_outputs(highest)
    power = np.subtract(cells, highest, order="C")
    flat = power.reshape(len(cells), -1)
    cv2.exp(flat, flat)
    power *= 1 / power.sum(axis=0)
    heat = np.empty((rows, CELL, columns, CELL), np.float32)
    for line, across in enumerate(power[:-1].reshape(CELL, CELL, rows, columns)):
        heat[:, line] = cv2.merge(tuple(across)).reshape(rows, columns, CELL)
    return heat.reshape(rows * CELL, columns * CELL)


def find_peaks(heat: FloatArray, settings: DecodeSettings, threshold: float) -> tuple[FloatArray, FloatArray]:
    """The highest peaks after non-maximum suppression.

    Args:
        heat: `(H, W) float32`, 0 or more.
        settings: Settings of decoding.
        threshold: Only peaks above it, and above 0, are returned.

    Returns:
        `(N, 2) float32` positions (x, y) and `(N,)` scores, best first.
    """
    radius, border = settings.nms_radius, settings.border
    height, width = heat.shape
    places = _survivors(heat, radius, max(threshold, 0.0))
    y, x = np.divmod(places, width)
    inside = (x >= border) & (x < width - border) & (y >= border) & (y < height - border)
    x, y, scores = x[inside], y[inside], heat.reshape(-1)[places[inside]]
    best = np.argsort(-scores, kind="stable")
    best = best[_without_ties(x[best], y[best], radius)][: settings.max_keypoints]
    x, y = x[best], y[best]
    xy = np.stack([x, y], axis=1).astype(np.float32)
    return (xy + _subpixel_offsets(heat, x, y) if settings.subpixel else xy), scores[best]


def _survivors(heat: FloatArray, radius: int, threshold: float) -> IntArray:
    """Flat indices of the pixels that `non_maximum_suppression` keeps above the threshold.

    A pixel below the threshold never suppresses one above it, so that later rounds need only look above.
    """
    above = cv2.compare(heat, threshold, cv2.CMP_GT)
    kept = above
    if radius > 0:
        window = np.ones((2 * radius + 1,) * 2, np.uint8)
        kept = cv2.bitwise_and(above, cv2.compare(heat, cv2.dilate(heat, window), cv2.CMP_EQ))
        for _ in range(SUPPRESSION_ROUNDS):
            above = cv2.subtract(above, cv2.dilate(kept, window))
            rest = cv2.copyTo(heat, above)
            again = cv2.compare(rest, cv2.dilate(rest, window), cv2.CMP_EQ)
            kept = cv2.bitwise_or(kept, cv2.bitwise_and(again, above))
    return np.flatnonzero((np.asarray(kept) & 1).view(np.bool_))


def _without_ties(x: IntArray, y: IntArray, radius: int) -> IntArray:
    """Rows, ascending, without those that share a block of `block_px` with an earlier one.

    Peaks are more than r apart except for exact ties, which half precision produces: of those in one block
    the first is kept.
    """
    block = block_px(radius)
    if block == 1:
        return np.arange(len(x))
    return np.sort(np.unique((y // block << 32) + x // block, return_index=True)[1])


def _subpixel_offsets(heat: FloatArray, x: IntArray, y: IntArray) -> FloatArray:
    """`(N, 2)`: offsets to the centre of mass of the 5×5 pixels around each peak (soft-argmax)."""
    reach = REFINE_REACH_PX
    side = 2 * reach + 1
    if len(x) and min(x.min(), y.min(), heat.shape[1] - 1 - x.max(), heat.shape[0] - 1 - y.max()) < reach:
        heat, x, y = np.pad(heat, reach), x + reach, y + reach
    around = np.lib.stride_tricks.sliding_window_view(heat, (side, side))[y - reach, x - reach]
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    moments = np.stack([np.ones(side * side), np.tile(steps, side), np.repeat(steps, side)], axis=1)
    total, right, down = (around.reshape(-1, side * side) @ moments.astype(np.float32)).T
    return np.asarray(np.stack([right, down], axis=1) / np.maximum(total, 1e-12)[:, None], np.float32)


def sample_descriptors(descriptor_map: FloatArray, xy: FloatArray, settings: DecodeSettings) -> FloatArray:
    """Interpolate unit descriptors bilinearly at the keypoints; see `torch_decoder.sample_descriptors`.

    Args:
        descriptor_map: `(h, w, D)`, not normalised.
        xy: `(N, 2) float32`, network pixels.
        settings: `descriptor_grid` selects the grid.

    Returns:
        `(N, D) float32`, unit length.

    Raises:
        ModelError: A number around a keypoint is NaN or infinite.
    """
    rows, columns, dim = descriptor_map.shape
    last = np.array([columns - 1, rows - 1], np.float32)
    scale = [grid_scale(count, settings.descriptor_grid) for count in (columns, rows)]
    place = np.clip((xy - np.float32(3.5)) * np.array(scale, np.float32), 0, last)
    before = np.clip(np.floor(place), 0, np.maximum(last - 1, 0))
    x, y = (place - before).T
    right, down = min(1, columns - 1), columns * min(1, rows - 1)
    first = (before[:, 1] * columns + before[:, 0]).astype(np.intp)
    corners = first[:, None] + np.array([0, right, down, down + right])
    # Descriptors are contiguous in memory; only the sampled ones are normalised.
    found = descriptor_map.reshape(-1, dim).take(corners, axis=0)
    weights = np.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], axis=1)
    norms = np.sqrt(np.einsum("nkd,nkd->nk", found, found))
    check_outputs(norms)
    weights /= np.maximum(norms, _SMALLEST_NORM)
    sampled = np.matmul(weights[:, None], found)[:, 0]
    length = np.sqrt(np.einsum("nd,nd->n", sampled, sampled))
    return np.asarray(sampled / np.maximum(length, _SMALLEST_NORM)[:, None], np.float32)
