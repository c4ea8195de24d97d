"""Frames for the measurements: a generated scene in motion, so that no file is needed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from realtime_kp.sources import DemoSpec


@lru_cache(maxsize=4)
def moving_frames(size_wh: tuple[int, int], count: int) -> tuple[NDArray[np.uint8], ...]:
    """`count` successive frames, `(H, W, 3) uint8` each, read-only by convention."""
    scene = DemoSpec(size_wh=size_wh).scene()
    return tuple(scene.render(i) for i in range(count))
