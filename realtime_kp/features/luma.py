"""Conversion to grey on the device, bit-identical to OpenCV."""

from __future__ import annotations

import torch

# ITU-R BT.601 luma with 15-bit weights, blue first, as in `COLOR_BGR2GRAY` of OpenCV (color_yuv.simd.hpp).
_WEIGHTS = (3735, 19235, 9798)
_BITS = 15


def grey_of(bgr: torch.Tensor) -> torch.Tensor:
    """Convert BGR images to grey.

    Args:
        bgr: `(B, H, W, 3) uint8`, on any device.

    Returns:
        `(B, H, W) uint8`, equal to `cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)`.
    """
    blue, green, red = bgr.int().unbind(dim=3)
    luma = blue * _WEIGHTS[0] + green * _WEIGHTS[1] + red * _WEIGHTS[2]
    return ((luma + (1 << (_BITS - 1))) >> _BITS).to(torch.uint8)
