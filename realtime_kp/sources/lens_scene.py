"""A generated scene as a lens with distortion shows it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError
from realtime_kp.lens import Lens
from realtime_kp.sources.base import KnownScene

_MOST_TIMES = 5.0
_BORDER_PX = 4


class LensScene:
    """Another scene, rendered by a pinhole camera that sees more, and distorted by a lens.

    Args:
        lens: The lens.
        scene: Makes the scene for a width and height.

    Raises:
        ConfigError: The lens is too wide for a pinhole camera.
    """

    def __init__(self, lens: Lens, scene: Callable[[tuple[int, int]], KnownScene]) -> None:
        self.size_wh = lens.size_wh
        self._lens = lens
        width, height = lens.size_wh
        y, x = np.mgrid[:height, :width]
        pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        straight = lens.normalised(pixels) * lens.focal_xy + lens.centre_xy
        low, high = straight.min(axis=0) - _BORDER_PX, straight.max(axis=0) + _BORDER_PX
        if not np.isfinite(straight).all() or ((high - low) > _MOST_TIMES * np.array(lens.size_wh)).any():
            raise ConfigError("demo's lens is too wide: what it sees fits into no flat picture")
        self._origin = np.floor(low).astype(np.float32)
        columns, rows = (int(side) for side in np.ceil(high - self._origin) + 1)
        self._scene = scene((columns, rows))
        self._map = (straight - self._origin).astype(np.float32).reshape(height, width, 2)

    def render(self, index: int) -> NDArray[np.uint8]:
        """Render frame `index`: `(H, W, 3) uint8`, BGR."""
        image = self._scene.render(index)
        return np.asarray(cv2.remap(image, self._map, None, cv2.INTER_CUBIC), np.uint8)

    def truth(
        self, i: int, j: int, xy: NDArray[np.float32] | NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Ground truth; see `KnownScene`."""
        there, visible = self._scene.truth(i, j, self._lens.undistort(xy) - self._origin)
        moved = self._lens.distort(there + self._origin)
        width, height = self.size_wh
        return moved, visible & ((moved >= 0) & (moved <= (width - 1, height - 1))).all(axis=1)

    def depth_edges(self, index: int, xy: NDArray[np.float32], reach_px: float) -> NDArray[np.bool_]:
        """Which points have something at another depth nearby; see `KnownScene`."""
        return self._scene.depth_edges(index, self._lens.undistort(xy) - self._origin, reach_px)
