"""Accuracy of points of one's own: random textured ones of the first frame of a known scene."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.followed_points import PositionRecord
from realtime_kp.evaluation.reference_trackers import KltTracker
from realtime_kp.evaluation.tap_vid import TapVid, tap_vid
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.sources import KnownScene
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


class KltPoints(KltTracker):
    """OpenCV's Lucas–Kanade on given points, without new ones; window and checks of `KltTracker`."""

    def __init__(self, xy: NDArray[np.float32]) -> None:
        super().__init__(max_tracks=0)
        self._xy = xy.copy()
        self._ids = np.arange(1, len(xy) + 1, dtype=np.int64)
        self._lengths = np.ones(len(xy), np.int32)


def query_accuracy(
    scene: KnownScene, frames: Sequence[Frame], keypoints: Sequence[Keypoints | None], seed: int = 0
) -> tuple[TapVid, TapVid]:
    """TAP-Vid measures of 64 points of one's own: with this tracker, and with OpenCV's Lucas–Kanade.

    Args:
        scene: The scene.
        frames: All its frames, from the first one on.
        keypoints: Detections of the frames; None where there is none.
        seed: Seed of the choice of the points.
    """
    points = textured_points(frames[0].image_bgr, seed=seed)
    tracker = Tracker(only_points=True)
    for x, y in points:
        tracker.add((float(x), float(y)))
    reference = KltPoints(points)
    records = PositionRecord(), PositionRecord()
    for frame, found in zip(frames, keypoints, strict=True):
        followed: tuple[Tracks, Tracks] = tracker.update(frame, found), reference.update(frame, None)
        for record, tracks in zip(records, followed, strict=True):
            record.add(tracks)
    return tap_vid(records[0].against(scene, 1)), tap_vid(records[1].against(scene, 1))
