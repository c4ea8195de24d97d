"""Association of tracks with keypoints by predicted position and descriptor, in several rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.keypoints import Keypoints, TrackState
from realtime_kp.tracking.matching import (
    Pairs,
    distance_to_similarity,
    mutual_best,
    near_pairs,
    runner_up,
    similarities,
)
from realtime_kp.tracking.table import TrackTable

FloatArray = NDArray[np.float32]

TIGHT_PX = (3.0, 5.0)
_DISTANCE_WEIGHT = 0.5
_STRICTER = 0.75
_MARGIN = 0.05
_TOGETHER_REACH = 0.1  # of the long side
_TOGETHER_PX = 2.0
_MIN_NEIGHBOURS = 2


@dataclass(frozen=True, slots=True)
class Round:
    """One round of association.

    Attributes:
        state: Tracks in this state take part.
        radius_px: Largest distance from the predicted position.
        similarity: Smallest cosine of the descriptors.
        margin: Smallest difference of the cosine to the second best keypoint within the radius.
        together_px: Above 0, a pair counts only where neighbours within this distance deviate from the
            prediction like it: a single deviating keypoint is mostly a false match, several that deviate
            alike are a moving object.
    """

    state: TrackState
    radius_px: float
    similarity: float
    margin: float = 0.0
    together_px: float = 0.0


def rounds(config: TrackingConfig, long_side_px: float, spread_px: float | None) -> tuple[Round, ...]:
    """The rounds of one frame, most reliable first.

    Args:
        config: Radii and threshold.
        long_side_px: Long side of the frame.
        spread_px: Typical residual of the global motion; None where there is no global motion.
    """
    wide_px = config.search_radius * long_side_px
    tight_px = wide_px if spread_px is None else min(wide_px, float(np.clip(4 * spread_px, *TIGHT_PX)))
    loose = distance_to_similarity(config.match_threshold)
    strict = distance_to_similarity(config.match_threshold * _STRICTER)
    together_px = 0.0 if spread_px is None else _TOGETHER_REACH * long_side_px
    return (
        Round(TrackState.CONFIRMED, tight_px, loose),
        Round(TrackState.CONFIRMED, wide_px, strict, _MARGIN, together_px),
        Round(TrackState.LOST, config.return_radius * long_side_px, strict, _MARGIN),
        Round(TrackState.TENTATIVE, tight_px, loose),
        Round(TrackState.TENTATIVE, wide_px, strict, _MARGIN, together_px),
    )


def associate(
    table: TrackTable, predicted_xy: FloatArray, keypoints: Keypoints, plan: tuple[Round, ...]
) -> Pairs:
    """Associate tracks with keypoints, each at most once.

    The pairs of a round are mutual nearest neighbours by cosine of the descriptors minus a penalty that grows
    with the distance from the predicted position: keypoints a few pixels apart have similar descriptors.

    Args:
        table: The tracks.
        predicted_xy: `(M, 2)`, predicted positions.
        keypoints: The detection.
        plan: The rounds.

    Returns:
        Rows of the table with rows of the keypoints.
    """
    descriptors = keypoints.descriptors.astype(np.float32, copy=False)
    free_a, free_b = np.ones(len(table), np.bool_), np.ones(len(keypoints), np.bool_)
    found_a, found_b = [], []
    for step in plan:
        rows, columns = np.flatnonzero(free_a & (table.states == step.state)), np.flatnonzero(free_b)
        near = near_pairs(predicted_xy[rows], keypoints.xy[columns], step.radius_px)
        pairs = Pairs(rows[near.a], columns[near.b])
        cosines = similarities(table.descriptors, descriptors, pairs)
        gap = predicted_xy[pairs.a] - keypoints.xy[pairs.b]
        penalty = _DISTANCE_WEIGHT * (gap * gap).sum(axis=1) / step.radius_px**2
        good = mutual_best(pairs, cosines - penalty) & (cosines >= step.similarity)
        if step.margin:
            good &= cosines - runner_up(pairs.a, cosines) >= step.margin
        chosen = pairs.where(good)
        if step.together_px:
            together = moving_together(keypoints.xy[chosen.b], -gap[good], step.together_px)
            chosen = chosen.where(together)
        free_a[chosen.a] = False
        free_b[chosen.b] = False
        found_a.append(chosen.a)
        found_b.append(chosen.b)
    return Pairs(np.concatenate(found_a), np.concatenate(found_b))


def moving_together(xy: FloatArray, shift: FloatArray, reach_px: float) -> NDArray[np.bool_]:
    """Which positions have at least two neighbours that are shifted like them.

    Args:
        xy: `(N, 2)`, positions, pixels.
        shift: `(N, 2)`, deviation of each from its prediction, pixels.
        reach_px: Largest distance of a neighbour.

    Returns:
        `(N,) bool`.
    """
    near = near_pairs(xy, xy, reach_px)
    alike = np.linalg.norm(shift[near.a] - shift[near.b], axis=1) <= _TOGETHER_PX
    neighbours = np.bincount(near.a[alike], minlength=len(xy)) - 1  # each is its own neighbour
    return np.asarray(neighbours >= _MIN_NEIGHBOURS)
