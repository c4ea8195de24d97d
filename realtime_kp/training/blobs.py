"""Detector of the first round of labels: blobs by the determinant of the Hessian, over several scales.

Blobs (Lindeberg, 1998; Bay et al., SURF, 2006) are localised more repeatably than corners under changes of
view and light. Saddles count half, so that corners of a checkerboard are labelled too.
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
# Contrast normalisation ranks an isolated strong response above an average one in a textured region.
_NEIGHBOURHOOD_PX = 20
_NOISE = 15.0
_HALF_STRONG = 6.0
_HALF_DISTINCT = 6.0
_DISTINCT_GAIN = 1.6


def find_blobs(view: GreyImage, mask: GreyImage) -> tuple[FloatArray, FloatArray]:
    """Detect the strongest blobs and saddles.

    Args:
        view: `(H, W) uint8`.
        mask: `(H, W) uint8`, 0 where detections are excluded.

    Returns:
        `(K, 2) float32` positions with sub-pixel accuracy, at most 600, strongest first, and `(K,) float32`
        strengths, 0 to 1.
    """
    response = blob_response(view)
    x, y = highest_peaks(response, (response > 0) & (mask > 0), 1, MAX_BLOBS)
    across = _vertex(response[y, x - 1], response[y, x], response[y, x + 1])
    along = _vertex(response[y - 1, x], response[y, x], response[y + 1, x])
    strength = response[y, x] ** 2 / (response[y, x] ** 2 + _HALF_STRONG**2)
    return np.asarray(np.stack([x + across, y + along], axis=1), np.float32), strength


def blob_response(grey: GreyImage) -> FloatArray:
    """Square root of the scale-normalised determinant of the Hessian, summed over scales.

    The response is divided by a local average, which normalises contrast.

    Args:
        grey: `(H, W) uint8`.

    Returns:
        `(H, W) float32`, 0 or more; nearly invariant to gain and offset.
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
    """How distinct each position is from its neighbourhood, in the least distinct direction.

    A saturating function of the square root of the smaller eigenvalue of the structure tensor (Shi and
    Tomasi, 1994). Weak positions repeat under warps of one image, but less often between two images.

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
    """Local maxima with a radius of 4 px.

    Args:
        heights: `(H, W) float32`.
        allowed: `(H, W) bool`, where a maximum counts.
        margin_px: Smallest distance from the edges, 1 or more.
        count: Largest number of maxima.

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
    """Position of the vertex of the parabola through three samples, -0.5 to 0.5."""
    bend = np.minimum(before + after - 2 * at, -1e-12)
    return np.asarray(np.clip((before - after) / (2 * bend), -0.5, 0.5))
