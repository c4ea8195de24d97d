"""Comparison of trackers on real video without ground truth: survival, geometric consistency, jitter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.compared_trackers import PointTracker
from realtime_kp.evaluation.one_core import one_core
from realtime_kp.evaluation.there_and_back import FRAMES, ThereAndBack, there_and_back
from realtime_kp.features import Extractor
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks

SURVIVAL_FRAMES = 30
GEOMETRY_FRAMES = 10
STILL_FRAMES = 100
_INLIER_PX = 1.5
_MIN_PAIRS = 16
_STILL_PX = 2.0

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RealMotionScores:
    """Figures of a tracker on one video.

    Attributes:
        alive: Share of the tracks seen in a frame that are seen 30 frames later, mean over the frames.
        inliers: Share of the tracks seen in two frames 10 apart that fit one homography or one fundamental
            matrix to 1.5 px, whichever explains more; mean over pairs of frames.
        pairs: Mean number of tracks seen in both of those frames.
        jitter_px: 95th percentile of the standard deviation in x and y, over 100 frames, of tracks that stay
            within 2 px of their first position; None where no track is seen in all of them.
        tracks_per_frame: Mean number of tracks seen in a frame.
        mean_length: Mean number of frames in which a track was seen, without tracks seen once.
        there_and_back: The first frames forwards and then backwards; None where they have no tracks.
    """

    alive: float
    inliers: float
    pairs: float
    jitter_px: float | None
    tracks_per_frame: float
    mean_length: float
    there_and_back: ThereAndBack | None = None


class RealMotionRecord:
    """Collects the tracks of a video and computes the figures."""

    def __init__(self) -> None:
        self._ids: list[NDArray[np.int64]] = []
        self._xy: list[FloatArray] = []

    def add(self, tracks: Tracks) -> None:
        """Add the tracks of the next frame."""
        seen = tracks.seen_confirmed
        self._ids.append(seen.ids)
        self._xy.append(seen.xy)

    def scores(self) -> RealMotionScores:
        """Figures over all frames so far."""
        geometry = [found for first in range(0, len(self._ids), 5) if (found := self._geometry(first))]
        _, lengths = np.unique(np.concatenate(self._ids), return_counts=True)
        return RealMotionScores(
            alive=_mean(self._survival()),
            inliers=_mean(share for share, _ in geometry),
            pairs=_mean(float(count) for _, count in geometry),
            jitter_px=self._jitter_px(),
            tracks_per_frame=_mean(float(len(ids)) for ids in self._ids),
            mean_length=_mean(lengths[lengths > 1].astype(float).tolist()),
        )

    def _survival(self) -> list[float]:
        spans = zip(self._ids, self._ids[SURVIVAL_FRAMES:], strict=False)
        return [float(np.isin(before, after).mean()) for before, after in spans if len(before)]

    def _geometry(self, first: int) -> tuple[float, int] | None:
        last = first + GEOMETRY_FRAMES
        if last >= len(self._ids):
            return None
        _, a, b = np.intersect1d(self._ids[first], self._ids[last], return_indices=True)
        if len(a) < _MIN_PAIRS:
            return None
        return inlier_share(self._xy[first][a], self._xy[last][b]), len(a)

    def _jitter_px(self) -> float | None:
        deviations = [np.zeros(0)]
        for first in range(0, len(self._ids) - STILL_FRAMES + 1, STILL_FRAMES // 2):
            ids, xy = self._ids[first : first + STILL_FRAMES], self._xy[first : first + STILL_FRAMES]
            kept = ids[0]
            for later in ids[1:]:
                kept = np.intersect1d(kept, later, assume_unique=True)
            if len(kept) == 0:
                continue
            places = np.stack(
                [there[np.searchsorted(names, kept)] for names, there in zip(ids, xy, strict=True)]
            )
            still = np.linalg.norm(places - places[:1], axis=2).max(axis=0) <= _STILL_PX
            deviations.append(places[:, still].std(axis=0).max(axis=1))
        found = np.concatenate(deviations)
        return float(np.percentile(found, 95)) if len(found) else None


def inlier_share(before: FloatArray, after: FloatArray) -> float:
    """Share of `(N, 2)` pairs of positions that fit one homography or one fundamental matrix to 1.5 px."""
    shares = []
    fits: tuple[Any, ...] = (cv2.findHomography, cv2.findFundamentalMat)
    for fit in fits:
        try:
            found, mask = fit(before, after, cv2.USAC_MAGSAC, _INLIER_PX, confidence=0.999, maxIters=2000)
        except cv2.error:  # OpenCV's own check of a degenerate model
            found = None
        shares.append(0.0 if found is None else float(mask.astype(bool).mean()))
    return max(shares)


def measure_real_motion(
    frames: Iterable[Frame],
    superpoint: Extractor,
    trackers: Mapping[str, Callable[[], PointTracker]],
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, RealMotionScores]:
    """Run all trackers on one video.

    Args:
        frames: The video.
        superpoint: Detects the keypoints, once per frame for all trackers.
        trackers: Factories by name.
        stopped: Called before each frame; True ends the measurement early.
        progress: Called after each frame.

    Returns:
        Figures by name of the tracker; empty if stopped before the first frame.
    """
    runs = {name: (make(), RealMotionRecord()) for name, make in trackers.items()}
    seen = 0
    first: list[tuple[Frame, Keypoints]] = []
    with one_core():
        for frame in frames:
            if stopped():
                break
            keypoints = superpoint.submit([frame.image_bgr])()[0].keypoints
            if len(first) < FRAMES:
                first.append((frame, keypoints))
            for tracker, record in runs.values():
                record.add(tracker.update(frame, keypoints))
            seen += 1
            progress()
        if not seen:
            return {}
        clip, found = [frame for frame, _ in first], [keypoints for _, keypoints in first]
        return {
            name: replace(record.scores(), there_and_back=there_and_back(clip, found, trackers[name]))
            for name, (_, record) in runs.items()
        }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else 0.0
