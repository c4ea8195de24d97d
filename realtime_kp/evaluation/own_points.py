"""Points of one's own, for comparison: random textured ones of the first frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.evaluation.compared_trackers import PointTracker
from realtime_kp.evaluation.reference_trackers import KltTracker
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.tracking import Tracker
from realtime_kp.tracking.patch_sampling import min_eigenvalue

COUNT = 64
_MARGIN_PX, _APART_PX = 12.0, 8.0
_TEXTURED = 600.0  # smaller eigenvalue of the structure tensor, as tracks need that start by themselves


def textured_points(image_bgr: NDArray[np.uint8], count: int = COUNT, seed: int = 0) -> NDArray[np.float32]:
    """Random points of a picture that have texture around them, no two closer than 8 px.

    Args:
        image_bgr: `(H, W, 3) uint8`.
        count: How many.
        seed: Seed of the choice.

    Returns:
        `(N, 2) float32`, up to `count` of them.
    """
    values = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.float32)
    height, width = values.shape
    low, high = _MARGIN_PX, np.array([width, height]) - 1 - _MARGIN_PX
    tried = np.random.default_rng(seed).uniform(low, high, (100 * count, 2)).astype(np.float32)
    tried = tried[min_eigenvalue(values, tried) >= _TEXTURED]
    chosen: list[NDArray[np.float32]] = []
    for xy in tried:
        if len(chosen) < count and all(np.linalg.norm(xy - other) >= _APART_PX for other in chosen):
            chosen.append(xy)
    return np.array(chosen, np.float32).reshape(-1, 2)


class OwnPoints:
    """This tracker on textured points of the first frame, which nobody chose because they are easy.

    Args:
        config: Settings of the tracker.
        seed: Seed of the choice of the points.
    """

    def __init__(self, config: TrackingConfig, seed: int = 0) -> None:
        self._tracker = Tracker(replace(config, only_points=True))
        self._seed: int | None = seed

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Choose the points in the first frame; follow them."""
        if self._seed is not None:
            for x, y in textured_points(frame.image_bgr, seed=self._seed).tolist():
                self._tracker.add((x, y))
            self._seed = None
        return self._tracker.update(frame, keypoints)


class KltPoints(KltTracker):
    """OpenCV's Lucas–Kanade on the same points; window and checks of `KltTracker`.

    Args:
        seed: Seed of the choice of the points.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(max_tracks=0)
        self._seed: int | None = seed

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Choose the points in the first frame; follow them."""
        if self._seed is not None:
            self._xy = textured_points(frame.image_bgr, seed=self._seed)
            self._ids = np.arange(1, len(self._xy) + 1, dtype=np.int64)
            self._lengths = np.ones(len(self._xy), np.int32)
            self._seed = None
        return super().update(frame, keypoints)


def make_point_trackers(config: TrackingConfig) -> dict[str, Callable[[], PointTracker]]:
    """Factories by name: this tracker with its best method, and Lucas–Kanade."""
    return {
        "own points": partial(OwnPoints, replace(config, kind="hybrid")),
        "own points, OpenCV KLT": KltPoints,
    }
