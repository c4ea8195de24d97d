"""Masks of images: checked, and at the input size of the network."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError
from realtime_kp.frame import Mask, check_mask


def checked_masks(
    images_bgr: Sequence[NDArray[np.uint8]], masks: Sequence[Mask | None] | None
) -> Sequence[Mask | None] | None:
    """The masks of images, checked; None where none of them has one.

    Args:
        images_bgr: `(H, W, 3) uint8` each.
        masks: `(H, W)` each, or None.

    Raises:
        ArgumentError: They are not as many as the images, or one is not of its image's size.
    """
    if masks is None or all(mask is None for mask in masks):
        return None
    if len(masks) != len(images_bgr):
        raise ArgumentError(f"{len(images_bgr)} images need as many masks, got {len(masks)}")
    for image, mask in zip(images_bgr, masks, strict=True):
        check_mask(mask, image)
    return masks


def network_masks(masks: Sequence[Mask | None] | None, size_wh: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Masks at the input size of the network, `(B, H, W) uint8`; None where nothing is masked."""
    if masks is None:
        return None
    whole = np.ones(size_wh[::-1], np.uint8)
    return np.stack(
        [
            whole
            if mask is None
            else cv2.resize(mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
            for mask in masks
        ]
    )
