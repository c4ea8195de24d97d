"""What stands still on the screen while the picture moves: logos, time stamps, a car's bonnet."""

from __future__ import annotations

import logging
from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.frame import Frame

log = logging.getLogger(__name__)

Mask = NDArray[np.uint8]

_LONG_SIDE_PX = 320
_SAMPLE_EVERY_S = 0.2
_SAMPLES = 16
_JUDGE_EVERY = 4
# Compression alone changes letters by some levels, more than it hides of a scene that moves.
_MOVED_LEVELS, _STILL_LEVELS = 5.0, 12.0
_STILL_SHARE = 0.7
_MOVING_SHARE = 0.35  # of the edges, from each look to the next
_EDGE_LEVELS = 24.0
_CLOSE, _DILATE = 0.03, 0.025  # of the long side
_LEAST_AREA, _MOST_AREA = 3e-4, 0.5  # of the picture


class OverlayFinder:
    """Finds edges that stay where they are while most of the picture changes.

    Grey levels are looked at five times a second. Where edges are, they change from one look to the next if
    the scene moves; the edges of an overlay stay, and those of a clock change once a second only.
    """

    def __init__(self) -> None:
        self._samples: deque[NDArray[np.float32]] = deque(maxlen=_SAMPLES)
        self._scene: tuple[int, tuple[int, int]] | None = None
        self._sampled_s = 0.0
        self._count = 0
        self._overlay: Mask | None = None
        self._told = False

    def overlay(self, frame: Frame) -> Mask | None:
        """`(H, W) uint8`, 1 on what is known to be an overlay by now; None where nothing is.

        Args:
            frame: The next frame. Another size or session begins anew.
        """
        scene = (frame.session, frame.size_wh)
        if scene != self._scene:
            self._samples.clear()
            self._scene, self._overlay, self._count = scene, None, 0
        if not self._samples or abs(frame.time_s - self._sampled_s) >= _SAMPLE_EVERY_S - 1e-6:
            self._sampled_s = frame.time_s
            self._samples.append(_small_grey(frame))
            self._count += 1
            if len(self._samples) == _SAMPLES and self._count % _JUDGE_EVERY == 0:
                self._judge(frame)
        return self._overlay

    def _judge(self, frame: Frame) -> None:
        still = find_still_edges(np.stack(self._samples))
        # While nothing moves, all edges stay: what was found before is still the best guess.
        if still is None:
            return
        self._overlay = None
        if still.any():
            self._overlay = cv2.resize(still, frame.size_wh, interpolation=cv2.INTER_NEAREST)
            if not self._told:
                self._told = True
                log.info("overlays cover %.1f %% of the picture: ignored", 100 * float(still.mean()))


def find_still_edges(levels: NDArray[np.float32]) -> Mask | None:
    """Areas around edges that stay while the picture moves.

    Args:
        levels: `(N, h, w)`, grey levels at N moments.

    Returns:
        `(h, w) uint8`, 1 on such areas; None where the picture does not move.
    """
    change = np.abs(np.diff(levels, axis=0))
    edges = np.mean([_slope(image) for image in levels], axis=0) >= _EDGE_LEVELS
    if not edges.any():
        return None
    moving = (change[:, edges] >= _MOVED_LEVELS).mean(axis=1)
    # From the beginning to the end: where the camera stops, more and more edges would seem to be an overlay.
    third = max(1, len(moving) // 3)
    if min(moving[:third].mean(), moving[-third:].mean()) < _MOVING_SHARE:
        return None
    still = np.asarray(edges & ((change < _STILL_LEVELS).mean(axis=0) >= _STILL_SHARE), np.uint8)
    long_side = max(still.shape)
    still = cv2.morphologyEx(still, cv2.MORPH_CLOSE, _square(_CLOSE * long_side))
    count, labels, found, _ = cv2.connectedComponentsWithStats(still)
    small = [i for i in range(1, count) if found[i, cv2.CC_STAT_AREA] < _LEAST_AREA * still.size]
    still[np.isin(labels, small)] = 0
    still = cv2.dilate(still, _square(_DILATE * long_side))
    return np.asarray(still if still.mean() <= _MOST_AREA else np.zeros_like(still), np.uint8)


def _small_grey(frame: Frame) -> NDArray[np.float32]:
    scale = min(1.0, _LONG_SIDE_PX / max(frame.size_wh))
    grey = cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _slope(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey levels per pixel."""
    along_x, along_y = (cv2.Sobel(image, cv2.CV_32F, dx, 1 - dx, scale=0.125) for dx in (1, 0))
    return np.asarray(cv2.magnitude(along_x, along_y), np.float32)


def _square(side: float) -> Mask:
    return np.ones((max(1, round(side)) | 1,) * 2, np.uint8)
