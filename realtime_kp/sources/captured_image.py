"""What a camera's driver delivers, in any layout, as an 8-bit BGR image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SourceError
from realtime_kp.sources.value_range import ValueRange

_CHROMA_FIRST = frozenset({"UYVY", "2VUY"})
_LUMA_FIRST = frozenset({"YUYV", "YUY2", "YUNV", "V422"})


def captured_bgr(
    image: Any, size_wh: tuple[int, int] | None, fourcc: str, values: ValueRange, name: str
) -> NDArray[np.uint8]:
    """Convert a captured image.

    Args:
        image: Grey, BGR, BGRA, packed YUV 4:2:2 or raw bytes; 8 or 16 bits, or floats.
        size_wh: Width and height that the driver reports; None where unknown.
        fourcc: Pixel format that it reports, such as `Y16 `; empty where unknown.
        values: Range of values of more than eight bits.
        name: Of the camera, for errors.

    Returns:
        `(H, W, 3) uint8`.

    Raises:
        SourceError: It is no image that is known.
    """
    if not isinstance(image, np.ndarray) or image.size == 0 or image.dtype.kind not in "uif":
        got = f"an array of {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise SourceError(f"{name} delivers no image but {got}; try another --camera-fourcc")
    image = _laid_out(image, size_wh, fourcc)
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels not in (1, 2, 3, 4):
        raise SourceError(f"{name} delivers images of {image.shape}, not known; try another --camera-fourcc")
    if image.dtype != np.uint8:
        values.follow(image)
        image = values.to_eight_bits(image)
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if channels == 2:
        code = cv2.COLOR_YUV2BGR_UYVY if fourcc.upper() in _CHROMA_FIRST else cv2.COLOR_YUV2BGR_YUY2
        return np.asarray(cv2.cvtColor(image, code), np.uint8)
    return np.asarray(image if channels == 3 else cv2.cvtColor(image, cv2.COLOR_BGRA2BGR), np.uint8)


def _laid_out(image: NDArray[Any], size_wh: tuple[int, int] | None, fourcc: str) -> NDArray[Any]:
    """Rows and columns for a flat buffer of known size, and 16-bit values for pairs of bytes."""
    if size_wh is None:
        return image
    width, height = size_wh
    flat = image.ndim == 1 or (image.ndim >= 2 and image.shape[0] == 1 and height > 1)
    pixels = width * height
    if not flat or image.size % pixels:
        return image
    image = np.ascontiguousarray(image).reshape(height, width, -1)
    chroma = fourcc.upper() in _CHROMA_FIRST | _LUMA_FIRST
    # OpenCV leaves 16-bit grey as the bytes that came.
    if image.dtype == np.uint8 and image.shape[2] == 2 and not chroma:
        return image.view(np.uint16)
    return image
