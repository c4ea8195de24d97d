"""Metrics of features on pairs of pictures of generated rooms, where true positions are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.feature_metrics import repeated, share
from realtime_kp.evaluation.feature_set import FeatureExtractor
from realtime_kp.evaluation.homography_pairs import RIGHT_PX, pictures_to_warp, relight
from realtime_kp.evaluation.pictures import LONGEST_PX, read_image, shrink, spread_evenly
from realtime_kp.sources.room_pairs import RoomPair, room_pairs

SIZE_WH = (640, 480)
_TEXTURES = 80
_LEAST_PX = 16


@dataclass(frozen=True, slots=True)
class RoomScores:
    """Scores of one pair; the means of several pairs have the same fields.

    Attributes:
        repeatability: Share of the keypoints visible in both pictures that have one within 3 px in the other.
        localisation_px: Mean distance of those.
        matches_1px: Share of the mutual nearest neighbours within 1 px of the truth; where the second picture
            does not show the point, none is right.
        matches_3px: The same for 3 px.
        right: Number of those within 3 px.
    """

    repeatability: float
    localisation_px: float
    matches_1px: float
    matches_3px: float
    right: float


def textures_of(folder: Path) -> list[NDArray[np.uint8]]:
    """Up to 80 images of a folder, spread evenly, in the order of their names, for the walls of rooms.

    They are shrunk to 640 px on the long side; those with a side below 16 px are left out.

    Args:
        folder: As `warped_pairs` takes it.
    """
    images = (read_image(file) for file in spread_evenly(pictures_to_warp(folder), _TEXTURES))
    large_enough = (image for image in images if image is not None and _shrunk_side_px(image) >= _LEAST_PX)
    return [shrink(image) for image in large_enough]


def _shrunk_side_px(image: NDArray[np.uint8]) -> float:
    """The short side once the image is shrunk."""
    return float(min(image.shape[:2]) * min(1.0, LONGEST_PX / max(image.shape)))


def relit_room_pairs(pictures_bgr: Sequence[NDArray[np.uint8]], count: int, seed: int) -> Iterator[RoomPair]:
    """Pairs of 640×480 pictures of rooms, the second in other light.

    Args:
        pictures_bgr: Photographs for the textures; none uses procedural pictures.
        count: Number of pairs.
        seed: Seed of rooms, cameras and light.
    """
    for number, pair in enumerate(room_pairs(pictures_bgr, count, SIZE_WH, seed)):
        rng = np.random.default_rng((seed, number, 19))
        yield RoomPair(pair.first, relight(pair.second, rng), pair.planes)


def evaluate_rooms(method: FeatureExtractor, pairs: Iterable[RoomPair]) -> RoomScores | None:
    """Mean scores over pairs; None without any.

    Args:
        method: The method to evaluate.
        pairs: The pairs.
    """
    scores = [score_room_pair(method, pair) for pair in pairs]
    if not scores:
        return None
    return RoomScores(*(float(np.nanmean([getattr(s, f.name) for s in scores])) for f in fields(RoomScores)))


def score_room_pair(method: FeatureExtractor, pair: RoomPair) -> RoomScores:
    """Score a method on one pair."""
    first, second = method.features(pair.first), method.features(pair.second)
    there, seen = pair.truth(first.xy)
    here, seen_back = pair.truth_back(second.xy)
    repeatability, localisation_px = _repeatability(first.xy, second.xy, there, here, seen, seen_back)
    matches = method.match(first, second)
    errors = np.linalg.norm(there[matches.a] - second.xy[matches.b], axis=1)
    errors = np.where(seen[matches.a], errors, np.inf)
    return RoomScores(
        repeatability,
        localisation_px,
        share(errors <= 1),
        share(errors <= RIGHT_PX),
        float((errors <= RIGHT_PX).sum()),
    )


def _repeatability(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    there: NDArray[np.float64],
    here: NDArray[np.float64],
    seen: NDArray[np.bool_],
    seen_back: NDArray[np.bool_],
) -> tuple[float, float]:
    """Repeatability and localisation, of keypoints whose point the other picture shows."""
    if not (seen.any() and seen_back.any()):
        return 0.0, float("nan")
    forth = np.linalg.norm(there[seen][:, None] - second[None], axis=2).min(axis=1)
    back = np.linalg.norm(here[seen_back][:, None] - first[None], axis=2).min(axis=1)
    return repeated(np.concatenate([forth, back]))
