"""Metrics of features on image pairs: repeatability, localisation, matching, homography estimation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.feature_set import FeatureExtractor
from realtime_kp.evaluation.homography_pairs import RIGHT_PX, Kind, Pair
from realtime_kp.tracking.motion import warp

FloatArray = NDArray[np.float32]

_MAGSAC_PX = 1.5


@dataclass(frozen=True, slots=True)
class PairScores:
    """Scores of one pair; the means of several pairs have the same fields.

    Attributes:
        repeatability: Share of the keypoints visible in both images that have one within 3 px in the other.
        localisation_px: Mean distance of those.
        matches_1px: Share of the mutual nearest neighbours within 1 px of the truth.
        matches_3px: The same for 3 px.
        plane_3px: The same, without matches that start off the plane of a real pair.
        homography_1px: Whether the homography estimated by MAGSAC maps the corners to within 1 px of the
            truth, on average.
        homography_3px: The same for 3 px.
        homography_5px: The same for 5 px.
    """

    repeatability: float
    localisation_px: float
    matches_1px: float
    matches_3px: float
    plane_3px: float
    homography_1px: float
    homography_3px: float
    homography_5px: float


def evaluate(method: FeatureExtractor, pairs: Iterable[Pair]) -> dict[Kind, PairScores]:
    """Mean scores over the pairs of each kind.

    Args:
        method: The method to evaluate.
        pairs: The image pairs.
    """
    found: dict[Kind, list[PairScores]] = {}
    for pair in pairs:
        found.setdefault(pair.kind, []).append(score_pair(method, pair))
    return {kind: _mean(scores) for kind, scores in found.items()}


def score_pair(method: FeatureExtractor, pair: Pair) -> PairScores:
    """Score a method on one pair."""
    first, second = method.features(pair.first), method.features(pair.second)
    repeatability, localisation_px = _repeatability(first.xy, second.xy, pair)
    pairs = method.match(first, second)
    there = warp(pair.homography, first.xy[pairs.a])
    errors = np.linalg.norm(there - second.xy[pairs.b], axis=1)
    corner_px = _corner_error_px(first.xy[pairs.a], second.xy[pairs.b], pair)
    return PairScores(
        repeatability,
        localisation_px,
        share(errors <= 1),
        share(errors <= RIGHT_PX),
        share(errors[_on_plane(first.xy[pairs.a], pair)] <= RIGHT_PX),
        *(float(corner_px <= limit) for limit in (1, 3, 5)),
    )


def share(right: NDArray[np.bool_]) -> float:
    """Share of the matches that are right; 0 without any."""
    return float(right.mean()) if len(right) else 0.0


def _on_plane(xy: FloatArray, pair: Pair) -> NDArray[np.bool_]:
    if pair.off_plane is None:
        return np.ones(len(xy), bool)
    height, width = pair.off_plane.shape
    x, y = xy.round().astype(int).T
    off: NDArray[np.bool_] = pair.off_plane[y.clip(0, height - 1), x.clip(0, width - 1)]
    return ~off


def _repeatability(first: FloatArray, second: FloatArray, pair: Pair) -> tuple[float, float]:
    """Repeatability and localisation, of keypoints whose true position lies in the other image."""
    back = np.asarray(np.linalg.inv(pair.homography), np.float64)
    there, here = warp(pair.homography, first), warp(back, second)
    first_seen, second_seen = _inside(there, pair.second), _inside(here, pair.first)
    gaps = np.linalg.norm(there[first_seen][:, None] - second[second_seen][None], axis=2)
    if gaps.size == 0:
        return 0.0, float("nan")
    return repeated(np.concatenate([gaps.min(axis=1), gaps.min(axis=0)]))


def repeated(nearest_px: NDArray[np.floating]) -> tuple[float, float]:
    """Share of some keypoints that are repeated within 3 px, and the mean distance of those.

    Args:
        nearest_px: `(N,)`, distance of each keypoint to the nearest one in the other image; at least one.
    """
    near = nearest_px <= RIGHT_PX
    return float(near.mean()), float(nearest_px[near].mean()) if near.any() else float("nan")


def _corner_error_px(first: FloatArray, second: FloatArray, pair: Pair) -> float:
    if len(first) < 4:
        return float("inf")
    found, _ = cv2.findHomography(
        first, second, cv2.USAC_MAGSAC, _MAGSAC_PX, maxIters=10_000, confidence=0.9999
    )
    if found is None:
        return float("inf")
    height, width = pair.first.shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    return float(np.linalg.norm(warp(found, corners) - warp(pair.homography, corners), axis=1).mean())


def _inside(xy: FloatArray, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    height, width = image.shape[:2]
    return np.asarray(((xy >= 0) & (xy <= (width - 1, height - 1))).all(axis=1))


def _mean(scores: list[PairScores]) -> PairScores:
    return PairScores(*(float(np.nanmean([getattr(s, f.name) for s in scores])) for f in fields(PairScores)))
