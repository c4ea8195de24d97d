"""Pictures to evaluate on: read from files, chosen evenly, shrunk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

LONGEST_PX = 640


def read_image(path: Path) -> NDArray[np.uint8] | None:
    """The picture in a file, `(H, W, 3) uint8`, BGR; None where it is none."""
    # OpenCV itself opens ASCII paths only on Windows, and crashes on a path that is no text.
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    return None if image is None else np.asarray(image, np.uint8)


def spread_evenly(files: Sequence[Path], most: int) -> list[Path]:
    """At most so many of some files, spread evenly over them."""
    chosen = np.linspace(0, len(files) - 1, min(most, len(files))).round().astype(int)
    return [files[i] for i in np.unique(chosen).tolist()]


def shrink(image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy with at most 640 px on the long side."""
    scale = LONGEST_PX / max(image_bgr.shape)
    if scale >= 1:
        return image_bgr.copy()
    small = cv2.resize(image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
