"""Accuracy of tracks in a scene with known motion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.sources import KnownScene

FloatArray = NDArray[np.float32]

MAX_HIDDEN_FRAMES = 30
_SURVIVAL_FRAMES = 30
_RETURN_WITHIN = 5
_RIGHT_PX = 2.0


class NothingTrackedError(ValueError):
    """There is no track to measure."""


@dataclass(frozen=True, slots=True)
class TrackAccuracy:
    """Errors of confirmed tracks against the ground truth.

    Attributes:
        steps: Number of measured steps: a track seen in two successive frames in which its point is visible.
        within_1px: Share of the steps with an error of at most 1 px.
        within_3px: The same for 3 px.
        median_px: Median error of a step.
        since_birth: Share of the positions within 2 px of the truth, which starts at the first position of
            the track.
        mean_length: Mean length of the confirmed tracks: frames in which they were seen, as counted by the
            tracker, without tracks seen once.
        tracks_per_frame: Mean number of tracks seen in a frame.
        correct_per_frame: Mean number of them, without new ones, within 2 px since birth.
        hidden: Number of tracks whose point was hidden for 1 to 30 frames and became visible again.
        returned: Share of those that were seen again with their id within five frames, within 2 px.
        wrong_returns: Share of all returns with a larger error.
        survived: Share of the tracks seen in a frame that are seen 30 frames of the scene later, within 2 px
            since birth, of those whose point is visible then; 0 where the clip is too short.
        seen_hidden: Share of the positions at which a track was seen although its point was hidden.
    """

    steps: int
    within_1px: float
    within_3px: float
    median_px: float
    since_birth: float
    mean_length: float
    tracks_per_frame: float
    correct_per_frame: float
    hidden: int
    returned: float
    wrong_returns: float
    survived: float
    seen_hidden: float


def track_accuracy(frames: Iterable[TrackedFrame], scene: KnownScene, every: int = 1) -> TrackAccuracy:
    """Compare tracks with the ground truth.

    Args:
        frames: All tracked frames of the scene in order; the i-th shows frame `i * every`.
        scene: The scene.
        every: Step between the frames of the scene that the clip shows.

    Raises:
        NothingTrackedError: No track was seen in two successive frames.
    """
    record = TrackRecord(scene, every)
    for tracked in frames:
        record.add(tracked.tracks)
    return record.accuracy()


class TrackRecord:
    """Collects the tracks of a clip and computes their accuracy.

    Args:
        scene: The scene that the clip shows.
        every: Step between the frames of the scene that the clip shows.
    """

    def __init__(self, scene: KnownScene, every: int = 1) -> None:
        self._scene = scene
        self._every = every
        self._ids: list[NDArray[np.int64]] = []
        self._xy: list[FloatArray] = []
        self._lengths: dict[int, int] = {}

    def add(self, tracks: Tracks) -> None:
        """Add the tracks of the next frame."""
        seen = tracks.seen_confirmed
        self._ids.append(seen.ids)
        self._xy.append(seen.xy)
        self._lengths.update(zip(seen.ids.tolist(), seen.lengths.tolist(), strict=True))

    def accuracy(self) -> TrackAccuracy:
        """Accuracy over all frames so far.

        Raises:
            NothingTrackedError: No track was seen in two successive frames.
        """
        steps = self._step_errors()
        if len(steps) == 0:
            raise NothingTrackedError("no track was seen in two successive frames")
        errors_px, visible = self._since_birth()
        lengths = np.array(list(self._lengths.values()))
        known = ~np.isnan(errors_px)
        older = known & (np.cumsum(known, axis=1) > 1)
        right = errors_px[older] <= _RIGHT_PX
        hidden, returned, wrong = count_returns(errors_px, visible, MAX_HIDDEN_FRAMES // self._every)
        frames = len(self._ids)
        return TrackAccuracy(
            steps=len(steps),
            within_1px=float((steps <= 1).mean()),
            within_3px=float((steps <= 3).mean()),
            median_px=float(np.median(steps)),
            since_birth=float(right.mean()) if len(right) else 0.0,
            mean_length=float(lengths[lengths > 1].mean()) if (lengths > 1).any() else 0.0,
            tracks_per_frame=float(known.sum() / frames),
            correct_per_frame=float(right.sum() / frames),
            hidden=hidden,
            returned=returned / hidden if hidden else 0.0,
            wrong_returns=wrong / (returned + wrong) if returned + wrong else 0.0,
            survived=surviving_share(errors_px, visible, max(1, _SURVIVAL_FRAMES // self._every)),
            seen_hidden=float((known & ~visible).sum() / known.sum()),
        )

    def _truth(self, i: int, j: int, xy: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        return self._scene.truth(i * self._every, j * self._every, xy)

    def _step_errors(self) -> NDArray[np.float64]:
        """Errors of all steps between successive frames whose points are visible in both."""
        errors = [np.zeros(0)]
        for j in range(1, len(self._ids)):
            _, before, now = np.intersect1d(self._ids[j - 1], self._ids[j], return_indices=True)
            truth, visible = self._truth(j - 1, j, self._xy[j - 1][before])
            errors.append(np.linalg.norm(truth - self._xy[j][now], axis=1)[visible])
        return np.concatenate(errors)

    def _since_birth(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Errors relative to the truth that starts at the first position of each track.

        Returns:
            `(T, F)` errors in pixels, NaN where the track was not seen, and `(T, F) bool`, whether its point
            was visible; both start at the frame in which the track was first seen.
        """
        frames = np.repeat(np.arange(len(self._ids)), [len(ids) for ids in self._ids])
        _, first, rows = np.unique(np.concatenate(self._ids), return_index=True, return_inverse=True)
        xy = np.concatenate(self._xy)
        births, start_xy = frames[first], xy[first]
        places = np.full((len(first), len(self._ids), 2), np.nan, np.float32)
        places[rows, frames] = xy
        errors_px = np.full(places.shape[:2], np.nan)
        visible = np.zeros(places.shape[:2], np.bool_)
        for born in np.unique(births).tolist():
            same = np.flatnonzero(births == born)
            for j in range(born, len(self._ids)):
                truth, seen = self._truth(born, j, start_xy[same])
                errors_px[same, j] = np.linalg.norm(truth - places[same, j], axis=1)
                visible[same, j] = seen
        return errors_px, visible


def surviving_share(errors_px: NDArray[np.float64], visible: NDArray[np.bool_], ahead: int) -> float:
    """Share of the tracks seen in a frame that are seen some frames later, within 2 px since birth.

    Only tracks whose point is visible in the later frame count; all pairs of frames have equal weight per
    track.

    Args:
        errors_px: `(T, F)`, error since birth, NaN where the track was not seen.
        visible: `(T, F)`, whether its point was visible.
        ahead: Number of frames between the two.

    Returns:
        The share; 0 where there is no such track.
    """
    asked = ~np.isnan(errors_px[:, :-ahead]) & visible[:, ahead:]
    right = errors_px[:, ahead:] <= _RIGHT_PX
    return float(right[asked].mean()) if asked.any() else 0.0


def count_returns(
    errors_px: NDArray[np.float64], visible: NDArray[np.bool_], max_hidden: int
) -> tuple[int, int, int]:
    """Count tracks that were hidden for a while, and their returns.

    A track counts as hidden if it was seen in one of the two frames before its point disappeared.

    Args:
        errors_px: `(T, F)`, NaN where the track was not seen.
        visible: `(T, F)`, whether its point was visible.
        max_hidden: Longest occlusion that counts, in frames.

    Returns:
        Number of occlusions of at most `max_hidden` frames that end at least five frames before the clip;
        number of those tracks that were seen again within these five frames within 2 px; number with a larger
        error.
    """
    hidden = right = wrong = 0
    change = np.diff(visible.astype(np.int8), axis=1)
    for row in np.flatnonzero((change == -1).any(axis=1)):
        for gone in (np.flatnonzero(change[row] == -1) + 1).tolist():
            later = np.flatnonzero(change[row, gone:] == 1)
            if len(later) == 0 or later[0] + 1 > max_hidden:
                continue
            back = gone + int(later[0]) + 1
            seen_before = ~np.isnan(errors_px[row, max(0, gone - 2) : gone])
            if back + _RETURN_WITHIN > visible.shape[1] or not seen_before.any():
                continue
            hidden += 1
            after = errors_px[row, back : back + _RETURN_WITHIN]
            after = after[~np.isnan(after)]
            if len(after):
                right += bool(after[0] <= _RIGHT_PX)
                wrong += bool(after[0] > _RIGHT_PX)
    return hidden, right, wrong
