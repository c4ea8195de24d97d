"""A map of where tracks have been."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Tracks
from realtime_kp.render.colours import turbo_palette

_STRENGTH = 0.75


class HeatMap:
    """Counts, over the frames, how many tracks were where, and shows it as colours from blue to red.

    Args:
        size_wh: Width and height of the frames.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        # One cell for some four pixels of a VGA picture: what lies between is smoothed.
        self._step_px = max(1.0, max(size_wh) / 160)
        width, height = (int(np.ceil(side / self._step_px)) + 1 for side in size_wh)
        self._counts = np.zeros((height, width), np.float32)

    def add(self, tracks: Tracks) -> None:
        """Add the confirmed tracks that were seen in a frame."""
        height, width = self._counts.shape
        column, row = np.rint(tracks.seen_confirmed.xy / self._step_px).astype(np.intp).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        np.add.at(self._counts, (row[inside], column[inside]), 1.0)

    def draw(self, image: NDArray[np.uint8]) -> None:
        """Blend the map into an image `(H, W, 3)`; where no track has been it stays as it is."""
        smooth = cv2.GaussianBlur(self._counts, (0, 0), 1.5)
        level = np.log1p(smooth) / max(float(np.log1p(smooth.max())), 1e-6)
        large = np.asarray(cv2.resize(level, image.shape[1::-1], interpolation=cv2.INTER_LINEAR))
        colours = turbo_palette()[np.clip(large * 255, 0, 255).astype(np.uint8)]
        weight = (_STRENGTH * np.sqrt(np.clip(large, 0, 1)))[..., None]
        image[:] = (image + weight * (colours.astype(np.float32) - image) + 0.5).astype(np.uint8)
