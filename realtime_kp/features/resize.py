"""Fixed resizing: input size of the network, and coordinates back in pixels of the source."""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import parse_size
from realtime_kp.errors import ArgumentError
from realtime_kp.frame import check_image

CELL = 8
USUAL_SIZE = "640"


def network_size(source_wh: tuple[int, int], resize: str) -> tuple[int, int]:
    """Input size of the network for a source size.

    Args:
        source_wh: Width and height of the source in pixels.
        resize: `"640"` is the long side, and the aspect is kept as far as multiples of 8 allow; `"640x480"`
            is exact and stretches; `"auto"` is `"640"`.

    Returns:
        Width and height, multiples of 8.
    """
    resize = USUAL_SIZE if resize == "auto" else resize
    if not re.fullmatch(r"\d+", resize):
        return parse_size(resize, "resize")
    scale = int(resize) / max(source_wh)
    width, height = (max(CELL * 4, CELL * round(side * scale / CELL)) for side in source_wh)
    return width, height


def to_network(image_bgr: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Convert to grey (ITU-R BT.601 luma) at the input size of the network: `(H, W) uint8`."""
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    if (grey.shape[1], grey.shape[0]) == size_wh:
        return np.asarray(grey, np.uint8)
    shrinks = size_wh[0] * size_wh[1] < grey.shape[0] * grey.shape[1]
    # Area averaging prevents aliasing, which would create false corners.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size_wh, interpolation=method), np.uint8)


def to_source(
    xy: NDArray[np.float32], source_wh: tuple[int, int], size_wh: tuple[int, int]
) -> NDArray[np.float32]:
    """Map network pixels to source pixels by pixel centres: `(x + 0.5) * w_src / w_net - 0.5`."""
    scale = np.array(source_wh, np.float32) / np.array(size_wh, np.float32)
    return np.asarray((xy + np.float32(0.5)) * scale - np.float32(0.5), np.float32)


def common_size(images_bgr: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
    """Width and height of the images of a batch.

    Raises:
        ArgumentError: There is none, they differ in size, or one is not `(H, W, 3) uint8`.
    """
    is_image = isinstance(images_bgr, np.ndarray) and images_bgr.ndim != 4
    if is_image or not isinstance(images_bgr, list | tuple | np.ndarray) or len(images_bgr) == 0:
        got = "an empty one" if isinstance(images_bgr, list | tuple) else type(images_bgr).__name__
        raise ArgumentError(f"a batch is a list of images, such as [image], got {got}")
    for image in images_bgr:
        check_image(image)
    sizes = {(image.shape[1], image.shape[0]) for image in images_bgr}
    if len(sizes) > 1:
        raise ArgumentError(f"the images of a batch must have one size, got {sorted(sizes)}")
    return sizes.pop()
