"""Reference trackers with the interface of ours."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks, TrackState
from realtime_kp.tracking.matching import distance_to_similarity, mutual_nearest_neighbours

FloatArray = NDArray[np.float32]


class KltTracker:
    """OpenCV: Shi–Tomasi corners followed by pyramidal Lucas–Kanade and replenished in every frame.

    Window 21 px, 3 levels above the finest, forward-backward error below 1 px. Keypoints of the network are
    ignored.

    Args:
        max_tracks: Number of corners to maintain.
    """

    def __init__(self, max_tracks: int = 1024) -> None:
        self._max_tracks = max_tracks
        self._grey: NDArray[np.uint8] | None = None
        self._xy = np.zeros((0, 2), np.float32)
        self._ids = np.zeros(0, np.int64)
        self._lengths = np.zeros(0, np.int32)
        self._next_id = 1

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Follow the corners to a frame and start new ones as far as the budget allows."""
        grey = np.asarray(cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        if self._grey is not None and len(self._xy):
            self._follow(self._grey, grey)
        self._grey = grey
        self._refill(grey)
        return _confirmed(self._ids, self._xy, self._lengths)

    def _follow(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        forward, found, _ = _flow(before, after, self._xy)
        back, back_found, _ = _flow(after, before, forward)
        height, width = after.shape
        inside = ((forward >= 0) & (forward < (width, height))).all(axis=1)
        good = inside & (found.ravel() == 1) & (back_found.ravel() == 1)
        good &= np.linalg.norm(back - self._xy, axis=1) < 1
        self._xy = forward[good].astype(np.float32)
        self._ids, self._lengths = self._ids[good], self._lengths[good] + 1

    def _refill(self, grey: NDArray[np.uint8]) -> None:
        missing = self._max_tracks - len(self._xy)
        if missing <= 0:
            return
        free = np.full(grey.shape, 255, np.uint8)
        for x, y in self._xy:
            cv2.circle(free, (round(float(x)), round(float(y))), 5, 0, -1)
        corners = cv2.goodFeaturesToTrack(grey, missing, 0.01, 5, mask=free)
        if corners is None:
            return
        fresh = corners.reshape(-1, 2).astype(np.float32)
        self._xy = np.concatenate([self._xy, fresh])
        self._ids = np.concatenate([self._ids, np.arange(len(fresh)) + self._next_id])
        self._lengths = np.concatenate([self._lengths, np.ones(len(fresh), np.int32)])
        self._next_id += len(fresh)


class NearestNeighbourTracker:
    """The tracker of the original SuperPoint demo: mutual nearest neighbours between frames, without a gate.

    DeTone et al., SuperPoint, 2018; distance threshold 0.7.
    """

    def __init__(self, match_threshold: float = 0.7) -> None:
        self._similarity = distance_to_similarity(match_threshold)
        self._descriptors: FloatArray | None = None
        self._ids = np.zeros(0, np.int64)
        self._lengths = np.zeros(0, np.int32)
        self._next_id = 1

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Match the keypoints of a frame with those of the frame before."""
        if keypoints is None:
            return Tracks.empty()
        count = len(keypoints)
        descriptors = keypoints.descriptors.astype(np.float32)
        ids, lengths = np.zeros(count, np.int64), np.ones(count, np.int32)
        if self._descriptors is not None:
            pairs = mutual_nearest_neighbours(self._descriptors, descriptors, self._similarity)
            ids[pairs.b] = self._ids[pairs.a]
            lengths[pairs.b] = self._lengths[pairs.a] + 1
        fresh = ids == 0
        ids[fresh] = np.arange(int(fresh.sum())) + self._next_id
        self._next_id += int(fresh.sum())
        self._descriptors, self._ids, self._lengths = descriptors, ids, lengths
        order = np.argsort(ids)
        return _confirmed(ids[order], keypoints.xy[order], lengths[order])


def _confirmed(ids: NDArray[np.int64], xy: FloatArray, lengths: NDArray[np.int32]) -> Tracks:
    count = len(ids)
    return Tracks(
        ids.copy(),
        xy.copy(),
        np.ones(count, np.float32),
        lengths.copy(),
        np.full(count, TrackState.CONFIRMED, np.int8),
        np.ones(count, np.bool_),
        xy[:, None].copy(),
    )


def _flow(before: NDArray[np.uint8], after: NDArray[np.uint8], xy: FloatArray) -> tuple[Any, Any, Any]:
    start = np.array(xy, np.float32)
    return cv2.calcOpticalFlowPyrLK(before, after, start, start.copy(), winSize=(21, 21), maxLevel=3)
