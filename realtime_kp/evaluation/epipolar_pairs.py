"""Pairs of frames of real video, judged by the epipolar geometry between them.

The true motion of a point of such a scene is unknown, but it must lie on its epipolar line. The fundamental
matrix is estimated from SIFT features, far more of them than any evaluated method may use, that pass the
ratio test (Lowe, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.feature_extractors import OpenCvExtractor
from realtime_kp.evaluation.feature_set import FeatureExtractor, Features
from realtime_kp.evaluation.pictures import shrink
from realtime_kp.sources import open_source
from realtime_kp.tracking.usac import usac_fit

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".ts"})
GAPS_S = (0.5, 1.0)
PAIRS_A_VIDEO = 30
_EVERY_S = 1.0
# Tolerance for rounded frame times.
_TIME_TOLERANCE_S = 1e-3
_SIFT_FEATURES = 4000
_SIFT_RATIO = 0.8
_AGREE_PX = 1.0
_LEAST_AGREEING = 60
_ATTEMPTS = 64

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VideoPair:
    """Two frames of one scene.

    Attributes:
        first: `(H, W, 3) uint8`, BGR, long side at most 640 px.
        second: The same.
        fundamental: `(3, 3)`: `second · fundamental · first = 0` in homogeneous pixels.
    """

    first: Image
    second: Image
    fundamental: FloatArray


@dataclass(frozen=True, slots=True)
class VideoScores:
    """Scores of one pair; the means of several pairs have the same fields.

    Attributes:
        right: Number of mutual nearest neighbours within 1 px of their epipolar lines.
        matches_1px: Their share of all mutual nearest neighbours.
        matches_3px: The same for 3 px.
    """

    right: float
    matches_1px: float
    matches_3px: float


def video_pairs(path: Path) -> Iterator[VideoPair]:
    """Pairs of frames half a second and one second apart, starting every second: the first 30 pairs.

    Pairs for which SIFT does not determine the geometry, such as across a cut, are skipped.

    Args:
        path: A video file.

    Raises:
        SourceError: It cannot be read.
    """
    waiting: list[tuple[float, _Described]] = []
    next_s, tried = -math.inf, 0
    with open_source(path) as source:
        for frame in source:
            now_s = frame.time_s + _TIME_TOLERANCE_S
            due = [first for due_s, first in waiting if due_s <= now_s]
            if not due and now_s < next_s:
                continue
            # A copy: the source may use its memory again.
            described = _describe(shrink(frame.image_bgr))
            for first in due[: PAIRS_A_VIDEO - tried]:
                pair = _pair(first, described)
                if pair is not None:
                    yield pair
            tried += len(due)
            if tried >= PAIRS_A_VIDEO:
                return
            waiting = [(due_s, first) for due_s, first in waiting if due_s > now_s]
            if now_s >= next_s:
                waiting += [(frame.time_s + gap_s, described) for gap_s in GAPS_S]
                next_s = frame.time_s + _EVERY_S


def evaluate_videos(
    method: FeatureExtractor, videos: Mapping[str, Iterable[VideoPair]]
) -> dict[str, VideoScores]:
    """Mean scores over the pairs of each video; videos without pairs are omitted.

    Args:
        method: The method to evaluate.
        videos: Pairs by name of the video.
    """
    scores = {name: [score_video_pair(method, pair) for pair in pairs] for name, pairs in videos.items()}
    return {
        name: VideoScores(*(fmean(getattr(s, f.name) for s in found) for f in fields(VideoScores)))
        for name, found in scores.items()
        if found
    }


def score_video_pair(method: FeatureExtractor, pair: VideoPair) -> VideoScores:
    """Score a method on one pair."""
    first, second = method.features(pair.first), method.features(pair.second)
    matches = method.match(first, second)
    off_px = epipolar_px(pair.fundamental, first.xy[matches.a], second.xy[matches.b])
    right = float((off_px <= 1).sum())
    count = max(1, len(off_px))
    return VideoScores(right, right / count, float((off_px <= 3).sum()) / count)


def epipolar_px(
    fundamental: FloatArray, first: NDArray[np.float32], second: NDArray[np.float32]
) -> FloatArray:
    """Sampson distance: first-order approximation of the geometric error (Sampson, 1982).

    Args:
        fundamental: `(3, 3)`.
        first: `(N, 2)`, pixels of the first image.
        second: `(N, 2)`, pixels of the second image.

    Returns:
        `(N,)`, pixels.
    """
    a, b = (np.column_stack([xy.astype(np.float64), np.ones(len(xy))]) for xy in (first, second))
    lines_b, lines_a = a @ fundamental.T, b @ fundamental
    slope = np.sqrt((lines_a[:, :2] ** 2).sum(axis=1) + (lines_b[:, :2] ** 2).sum(axis=1))
    return np.asarray(np.abs((b * lines_b).sum(axis=1)) / np.maximum(slope, 1e-12))


@dataclass(frozen=True, slots=True)
class _Described:
    """A frame and its SIFT features, kept because several pairs use them."""

    image: Image
    features: Features


def _describe(image: Image) -> _Described:
    return _Described(image, OpenCvExtractor("sift", _SIFT_FEATURES).features(image))


def _pair(first: _Described, second: _Described) -> VideoPair | None:
    """A pair; None where too few features agree on a geometry."""
    a, b = first.features, second.features
    if min(len(a.xy), len(b.xy)) < _LEAST_AGREEING:
        return None
    nearest_two = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a.descriptors, b.descriptors, k=2)
    clear = [best for best, next_best in nearest_two if best.distance < _SIFT_RATIO * next_best.distance]
    if len(clear) < _LEAST_AGREEING:
        return None
    xy_a, xy_b = a.xy[[match.queryIdx for match in clear]], b.xy[[match.trainIdx for match in clear]]
    fundamental, agree = usac_fit(
        cv2.findFundamentalMat,
        xy_a,
        xy_b,
        _AGREE_PX,
        confidence=0.9999,
        iterations=20_000,
        attempts=_ATTEMPTS,
    )
    if fundamental is None or int(agree.sum()) < _LEAST_AGREEING:
        return None
    return VideoPair(first.image, second.image, fundamental)
