"""What a detection tells the tracks: confirmation, doubt, recognition, and where new ones may start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig
from realtime_kp.keypoints import Keypoints
from realtime_kp.tracking.matching import (
    Pairs,
    distance_to_similarity,
    mutual_best,
    mutual_nearest_neighbours,
    near_pairs,
    runner_up,
    similarities,
)
from realtime_kp.tracking.motion import GlobalMotion, estimate_motion
from realtime_kp.tracking.table import DESCRIPTOR_MEMORY, AlignedTable

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]
Mask = NDArray[np.bool_]

SPACING_PX = 5.0
_SAME_PLACE_PX = 3.0
_DOUBTFUL = 0.35
_LEARN_EVERY = 4
_STRICTER = 0.75
_MARGIN = 0.05
_MAX_RECOGNISED = 512
_RELOCATION_POINTS = 600
_RELOCATION_INLIERS = 12
_CELLS = 8


@dataclass(frozen=True, slots=True)
class Detection:
    """Keypoints, and where the tracks were in their frame.

    Attributes:
        keypoints: What was found.
        rows: `(R,)` rows of the table that were alive then.
        xy: `(R, 2)`, where they were.
        seen: `(R,) bool`, whether they were seen then.
    """

    keypoints: Keypoints
    rows: IntArray
    xy: FloatArray
    seen: Mask


def confirm(
    table: AlignedTable, detection: Detection, config: TrackingConfig, *, by_descriptor: bool
) -> tuple[IntArray, Mask]:
    """Let keypoints confirm the tracks at whose places they lie, and put others in doubt.

    Args:
        table: Its descriptors, scores and doubts are brought up to date.
        detection: The keypoints.
        config: Thresholds.
        by_descriptor: Whether the descriptors must agree; else the place is enough.

    Returns:
        Rows of the table that are confirmed, and `(N,) bool`: keypoints that lie on or close to a track,
        where none starts.
    """
    keypoints = detection.keypoints
    seen = np.flatnonzero(detection.seen)
    pairs = near_pairs(detection.xy[seen], keypoints.xy, SPACING_PX)
    claimed = np.zeros(len(keypoints), np.bool_)
    claimed[pairs.b] = True
    gap = detection.xy[seen[pairs.a]] - keypoints.xy[pairs.b]
    pairs = pairs.where((gap * gap).sum(axis=1) <= _SAME_PLACE_PX**2)
    pairs = Pairs(detection.rows[seen[pairs.a]], pairs.b)
    cosines = similarities(table.descriptors, keypoints.descriptors.astype(np.float32, copy=False), pairs)
    best = mutual_best(pairs, cosines)
    pairs, cosines = pairs.where(best), cosines[best]
    if not by_descriptor:
        cosines = np.ones_like(cosines)
    agreeing = pairs.where(cosines >= distance_to_similarity(config.match_threshold))
    _learn(table, agreeing, keypoints)
    table.doubts[pairs.a[cosines < _DOUBTFUL]] += 1
    return agreeing.a, claimed


def _learn(table: AlignedTable, pairs: Pairs, keypoints: Keypoints) -> None:
    table.detections[pairs.a] += 1
    table.doubts[pairs.a] = 0
    table.scores[pairs.a] = keypoints.scores[pairs.b]
    # A descriptor that is known well hardly changes: those take turns.
    detections = table.detections[pairs.a]
    pairs = pairs.where((detections <= DESCRIPTOR_MEMORY) | (detections % _LEARN_EVERY == 0))
    table.learn_descriptors(pairs.a, keypoints.descriptors[pairs.b], table.detections[pairs.a])


def recognise(
    table: AlignedTable, detection: Detection, free: Mask, config: TrackingConfig, long_side_px: int
) -> Pairs:
    """Find lost tracks among the keypoints that nobody claimed, by descriptor near where they should be.

    Args:
        table: The tracks.
        detection: The keypoints.
        free: `(N,) bool`, keypoints that nobody claimed.
        config: Radius and threshold.
        long_side_px: Of the frame.

    Returns:
        Rows of the table with rows of the keypoints: mutual nearest neighbours that stand out from the
        second best.
    """
    keypoints = detection.keypoints
    lost = np.flatnonzero(~detection.seen & ~table.alive[detection.rows])
    if len(lost) > _MAX_RECOGNISED:
        order = np.argsort(table.missed[detection.rows[lost]], kind="stable")
        lost = np.sort(lost[order[:_MAX_RECOGNISED]])
    columns = np.flatnonzero(free)
    if len(lost) == 0 or len(columns) == 0:
        return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp))
    near = near_pairs(detection.xy[lost], keypoints.xy[columns], config.return_radius * long_side_px)
    pairs = Pairs(detection.rows[lost[near.a]], columns[near.b])
    cosines = similarities(table.descriptors, keypoints.descriptors.astype(np.float32, copy=False), pairs)
    good = mutual_best(pairs, cosines)
    good &= cosines >= distance_to_similarity(config.match_threshold * _STRICTER)
    good &= cosines - runner_up(pairs.a, cosines) >= _MARGIN
    return pairs.where(good)


def relocate(
    table: AlignedTable, detection: Detection, asked: Mask, config: TrackingConfig
) -> GlobalMotion | None:
    """After a cut or a jump: where lost tracks went, by descriptors that agree on one motion.

    Args:
        table: The tracks.
        detection: The keypoints.
        asked: `(R,) bool`, which of the detection's rows are looked for.
        config: Threshold.

    Returns:
        From where the tracks were thought to be to where they are; None where they are not in the picture.
    """
    rows = detection.rows[asked]
    return _agreed_motion(table, rows, detection.xy[asked], detection.keypoints, config)


def recognised_motion(
    table: AlignedTable, keypoints: Keypoints, config: TrackingConfig
) -> GlobalMotion | None:
    """The global motion by descriptors, where flow does not tell it.

    Args:
        table: The tracks, where they were in the frame before.
        keypoints: Of the frame they moved to.
        config: Threshold.
    """
    rows = np.flatnonzero(table.alive)
    return _agreed_motion(table, rows, table.xy[rows], keypoints, config)


def _agreed_motion(
    table: AlignedTable, rows: IntArray, xy: FloatArray, keypoints: Keypoints, config: TrackingConfig
) -> GlobalMotion | None:
    """The motion from `(R, 2)` places of rows to the keypoints, where enough descriptors agree on one."""
    step = max(1, len(rows) // _RELOCATION_POINTS)
    pairs = mutual_nearest_neighbours(
        table.descriptors[rows[::step]],
        keypoints.descriptors.astype(np.float32, copy=False),
        distance_to_similarity(config.match_threshold),
    )
    motion = estimate_motion(xy[::step][pairs.a], keypoints.xy[pairs.b])
    if motion is None or motion.inlier_share * len(pairs) < _RELOCATION_INLIERS:
        return None
    return motion


def places_to_start(
    keypoints: Keypoints, free: Mask, living_xy: FloatArray, size_wh: tuple[int, int]
) -> IntArray:
    """Keypoints where a track may start, emptiest parts of the picture first.

    Args:
        keypoints: Best first.
        free: `(N,) bool`: nobody claimed it, and it lies well inside the picture.
        living_xy: `(M, 2)`, where tracks live.
        size_wh: Of the picture.

    Returns:
        Rows of the keypoints, no two closer than the smallest spacing; within a part of the picture best
        first.
    """
    rows = _apart(keypoints.xy, np.flatnonzero(free))
    cell_px = max(size_wh) / _CELLS
    width = _CELLS + 1

    def cells(xy: FloatArray) -> IntArray:
        column, line = np.clip(xy / cell_px, 0, _CELLS).astype(np.intp).T
        return np.asarray(line * width + column)

    own = cells(keypoints.xy[rows])
    crowd = np.bincount(cells(living_xy), minlength=width * width)[own]
    # The n-th candidate of a cell comes after n more tracks in it.
    order = np.argsort(own, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(own[order]) > 0]) if len(own) else np.zeros(0, np.intp)
    rank = np.empty(len(own), np.intp)
    rank[order] = np.arange(len(own)) - np.repeat(starts, np.diff(np.r_[starts, len(own)]))
    return rows[np.argsort(crowd + rank, kind="stable")]


def _apart(xy: FloatArray, rows: IntArray) -> IntArray:
    """Drop rows that lie too close to a better one."""
    pairs = near_pairs(xy[rows], xy[rows], SPACING_PX)
    pairs = pairs.where(pairs.a < pairs.b)
    dropped = np.zeros(len(rows), np.bool_)
    order = np.argsort(pairs.a, kind="stable")
    for better, worse in zip(pairs.a[order].tolist(), pairs.b[order].tolist(), strict=True):
        if not dropped[better]:
            dropped[worse] = True
    return rows[~dropped]
