"""Keypoint detectors with descriptors behind one interface: SuperPoint networks, ORB and SIFT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.evaluation.feature_set import FeatureExtractor, Features
from realtime_kp.evaluation.xfeat import XFeatExtractor
from realtime_kp.features import SuperPoint
from realtime_kp.tracking.matching import Pairs, mutual_nearest_neighbours

CLASSICAL = ("orb", "sift")
# Its default threshold.
_XFEAT_THRESHOLD = 0.05


@contextmanager
def open_extractor(
    name: str, keypoints: int, base: SuperPointConfig, *, threshold: bool = False
) -> Iterator[FeatureExtractor]:
    """Open a method by name.

    Args:
        name: `orb`, `sift`, `xfeat`, or any value of `--model`.
        keypoints: Number of keypoints per image.
        base: Device, engine and precision of networks.
        threshold: Apply the default threshold of the method, instead of returning weak keypoints up to the
            number.

    Raises:
        ModelError: A package that the method needs is missing, or there is no such model.
    """
    if name in CLASSICAL:
        yield OpenCvExtractor(name, keypoints)
    elif name == "xfeat":
        yield XFeatExtractor(keypoints, _XFEAT_THRESHOLD if threshold else 0.0, base.resize)
    else:
        floor = base.keypoint_threshold if threshold else 0.0
        config = replace(base, model=name, max_keypoints=keypoints, keypoint_threshold=floor)
        with SuperPoint(config) as superpoint:
            yield _SuperPointExtractor(superpoint)


class _SuperPointExtractor:
    def __init__(self, superpoint: SuperPoint) -> None:
        self._superpoint = superpoint

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        found = self._superpoint(image_bgr)
        return Features(found.xy, found.scores, found.descriptors)

    def match(self, first: Features, second: Features) -> Pairs:
        return mutual_nearest_neighbours(first.descriptors, second.descriptors, -1.0)


class OpenCvExtractor:
    """ORB or SIFT of OpenCV.

    Args:
        name: `orb` or `sift`.
        keypoints: Number of keypoints per image.
    """

    def __init__(self, name: str, keypoints: int) -> None:
        if name == "orb":
            self._detector: Any = cv2.ORB.create(keypoints)
            self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
        else:
            self._detector = cv2.SIFT.create(keypoints)
            self._matcher = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True)
        self._keypoints = keypoints

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        """Detect the best keypoints of an image."""
        points, descriptors = self._detector.detectAndCompute(image_bgr, None)
        if descriptors is None:
            return Features(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, 1), np.uint8))
        order = np.argsort([-point.response for point in points], kind="stable")[: self._keypoints]
        xy = np.array([points[i].pt for i in order], np.float32).reshape(-1, 2)
        scores = np.array([points[i].response for i in order], np.float32)
        return Features(xy, scores, descriptors[order])

    def match(self, first: Features, second: Features) -> Pairs:
        """Mutual nearest neighbours."""
        if len(first.xy) == 0 or len(second.xy) == 0:
            return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp))
        found = self._matcher.match(first.descriptors, second.descriptors)
        return Pairs(
            np.array([m.queryIdx for m in found], np.intp), np.array([m.trainIdx for m in found], np.intp)
        )
