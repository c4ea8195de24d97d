"""Mask of the parts of a real image pair that do not lie on its plane.

A wall has ledges, and objects stand before it. They move differently from the homography, so that correct
matches there would count as false.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.tracking.motion import warp

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

_CONSISTENT_PX = 1.0


def off_plane(
    first: Image, second: Image, homography: NDArray[np.float64], limit_px: float
) -> NDArray[np.bool_]:
    """Pixels where dense optical flow deviates from the homography.

    Flow (Kroeger et al., Fast Optical Flow using Dense Inverse Search, 2016) is computed from the first image
    to the second one warped by the homography, and used where it passes a forward-backward check of 1 px. It
    is independent of any keypoint method.

    Args:
        first: `(H, W, 3)`, BGR.
        second: The same, of any size.
        homography: `(3, 3)`, pixels of the first to pixels of the second.
        limit_px: Largest deviation on the plane, pixels of the second.

    Returns:
        `(H, W) bool`, pixels of the first; False also where flow is unreliable.
    """
    height, width = first.shape[:2]
    here = _grey(first)
    back = np.linalg.inv(homography)
    there = cv2.warpPerspective(_grey(second), back, (width, height), flags=cv2.INTER_LINEAR)
    seen = cv2.warpPerspective(np.ones(second.shape[:2], np.uint8), back, (width, height)) > 0
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    forwards, backwards = _flow(here, there), _flow(there, here)
    moved = places + forwards
    returned = forwards + cv2.remap(backwards, moved, None, cv2.INTER_LINEAR)
    told = seen & (np.linalg.norm(returned, axis=2) <= _CONSISTENT_PX)
    gaps = warp(homography, moved.reshape(-1, 2)) - warp(homography, places.reshape(-1, 2))
    return np.asarray(told & (np.linalg.norm(gaps, axis=1).reshape(height, width) > limit_px))


def _grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _flow(grey: Image, other: Image) -> FloatArray:
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(flow.calc(grey, other, None), np.float32)
