"""The detector that labels begin with: blobs by the determinant of the Hessian, over several scales.

Blobs (Lindeberg, 1998; Bay et al., SURF, 2006) come back nearer to their places than corners do when the
view or the light changes. Saddles count half, so that the corners of a checkerboard have labels too.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
GreyImage = NDArray[np.uint8]

MAX_BLOBS = 600
NMS_PX = 4
_SIGMAS_PX = (2.0, 2.5, 3.0, 4.0)
_SADDLE_WEIGHT = 0.5
# What is strong where little else is comes before what is average in a busy place.
_NEIGHBOURHOOD_PX = 20
_NOISE = 15.0
_HALF_STRONG = 6.0
_HALF_DISTINCT = 6.0
_DISTINCT_GAIN = 1.6


def find_blobs(view: GreyImage, mask: GreyImage) -> tuple[FloatArray, FloatArray]:
    """The strongest blobs and saddles.

    Args:
        view: `(H, W) uint8`.
        mask: `(H, W) uint8`, 0 where nothing is to be found.

    Returns:
        `(K, 2) float32`, to a part of a pixel, at most 600, strongest first, and `(K,) float32`, how strong
        each is, 0 to 1.
    """
    response = blob_response(view)
    x, y = highest_peaks(response, (response > 0) & (mask > 0), 1, MAX_BLOBS)
    across = _vertex(response[y, x - 1], response[y, x], response[y, x + 1])
    along = _vertex(response[y - 1, x], response[y, x], response[y + 1, x])
    strength = response[y, x] ** 2 / (response[y, x] ** 2 + _HALF_STRONG**2)
    return np.asarray(np.stack([x + across, y + along], axis=1), np.float32), strength


def blob_response(grey: GreyImage) -> FloatArray:
    """Root of the scale-normalised determinant of the Hessian, summed over scales, against what is around.

    Args:
        grey: `(H, W) uint8`.

    Returns:
        `(H, W) float32`, 0 or more; hardly changed by gain and offset.
    """
    blobs, saddles = np.zeros(grey.shape, np.float32), np.zeros(grey.shape, np.float32)
    for sigma in _SIGMAS_PX:
        smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma)
        xx, yy = cv2.Sobel(smooth, cv2.CV_32F, 2, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 2)
        xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1)
        determinant = (xx * yy - xy * xy) * sigma**4
        blobs += np.sqrt(np.maximum(determinant, 0))
        saddles += np.sqrt(np.maximum(-determinant, 0))
    around = cv2.GaussianBlur(blobs, (0, 0), _NEIGHBOURHOOD_PX) + _NOISE
    return np.asarray(np.maximum(blobs, _SADDLE_WEIGHT * saddles) / around, np.float32)


def distinctness(grey: GreyImage, xy: FloatArray) -> FloatArray:
    """How much each place differs from where it would be moved a little, in any direction.

    The root of the smaller eigenvalue of the structure tensor (Shi and Tomasi, 1994), levelling off. Faint
    places come back in views of one picture, but less often in two pictures.

    Args:
        grey: `(H, W) uint8`.
        xy: `(K, 2) float32`, pixels.

    Returns:
        `(K,) float32`, 0 to 1.
    """
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    xx, yy, xy_ = (cv2.GaussianBlur(product, (0, 0), 3.0) for product in (dx * dx, dy * dy, dx * dy))
    smaller = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy_)
    x, y = xy.round().astype(int).clip(0, np.array(grey.shape[::-1]) - 1).T
    change = np.sqrt(np.maximum(smaller[y, x], 0))
    return np.asarray(np.minimum(1, _DISTINCT_GAIN * change / (change + _HALF_DISTINCT)), np.float32)


def highest_peaks(
    heights: FloatArray, allowed: NDArray[np.bool_], margin_px: int, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels that nothing within 4 px rises above.

    Args:
        heights: `(H, W) float32`.
        allowed: `(H, W) bool`, where a peak counts.
        margin_px: How far from the edges it must lie, 1 or more.
        count: How many to keep.

    Returns:
        x and y, `(K,)` each, highest first.
    """
    peak = (heights == cv2.dilate(heights, np.ones((2 * NMS_PX + 1,) * 2))) & allowed
    peak[:margin_px] = peak[-margin_px:] = False
    peak[:, :margin_px] = peak[:, -margin_px:] = False
    y, x = np.nonzero(peak)
    order = np.argsort(-heights[y, x], kind="stable")[:count]
    return x[order], y[order]


def _vertex(before: FloatArray, at: FloatArray, after: FloatArray) -> FloatArray:
    """Where the parabola through three neighbours is highest, -0.5 to 0.5."""
    bend = np.minimum(before + after - 2 * at, -1e-12)
    return np.asarray(np.clip((before - after) / (2 * bend), -0.5, 0.5))
