"""Accuracy of tracks in a scene with known motion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.followed_points import FollowedPoints, PositionRecord, share
from realtime_kp.evaluation.occlusions import RIGHT_PX, find_occlusions
from realtime_kp.evaluation.tap_vid import THRESHOLDS_PX, tap_vid
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.sources import KnownScene

MAX_HIDDEN_FRAMES = 30
_SURVIVAL_FRAMES = 30


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
        behind: Number of the hidden tracks whose point stayed inside the picture, behind something.
        returned_behind: Share of those that returned.
        left: Number of the hidden tracks whose point left the picture.
        returned_left: Share of those that returned.
        survived: Share of the tracks seen in a frame that are seen 30 frames of the scene later, within 2 px
            since birth, of those whose point is visible then; 0 where the clip is too short.
        seen_hidden: Share of the positions at which a track was seen although its point was hidden.
        tap_within_1px: Share of the visible points predicted within 1 px in a picture of 256×256 px, as in
            TAP-Vid; see `tap_vid`.
        tap_within_2px: The same for 2 px.
        tap_within_4px: The same for 4 px.
        tap_within_8px: The same for 8 px.
        tap_within_16px: The same for 16 px.
        tap_occlusion_accuracy: Share of the points whose visibility is predicted right.
        tap_average_jaccard: Average Jaccard of TAP-Vid.
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
    behind: int
    returned_behind: float
    left: int
    returned_left: float
    survived: float
    seen_hidden: float
    tap_within_1px: float
    tap_within_2px: float
    tap_within_4px: float
    tap_within_8px: float
    tap_within_16px: float
    tap_occlusion_accuracy: float
    tap_average_jaccard: float


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
        self._positions = PositionRecord()
        self._lengths: dict[int, int] = {}

    def add(self, tracks: Tracks) -> None:
        """Add the tracks of the next frame."""
        self._positions.add(tracks)
        seen = tracks.seen_confirmed
        self._lengths.update(zip(seen.ids.tolist(), seen.lengths.tolist(), strict=True))

    def accuracy(self, points: FollowedPoints | None = None) -> TrackAccuracy:
        """Accuracy over all frames so far.

        Args:
            points: What `points` returns, where it is known already.

        Raises:
            NothingTrackedError: No track was seen in two successive frames.
        """
        steps = self._step_errors()
        if len(steps) == 0:
            raise NothingTrackedError("no track was seen in two successive frames")
        points = self.points() if points is None else points
        errors_px = points.errors_px
        lengths = np.array(list(self._lengths.values()))
        older = points.seen & (np.cumsum(points.seen, axis=1) > 1)
        right = errors_px[older] <= RIGHT_PX
        hidden = find_occlusions(errors_px, points.visible, MAX_HIDDEN_FRAMES // self._every)
        left = hidden.outside(points.inside)
        seen_again = int((hidden.returned | hidden.wrong).sum())
        benchmark = tap_vid(points)
        return TrackAccuracy(
            steps=len(steps),
            within_1px=float((steps <= 1).mean()),
            within_3px=float((steps <= 3).mean()),
            median_px=float(np.median(steps)),
            since_birth=float(right.mean()) if len(right) else 0.0,
            mean_length=float(lengths[lengths > 1].mean()) if (lengths > 1).any() else 0.0,
            tracks_per_frame=float(points.seen.sum() / len(self._positions)),
            correct_per_frame=float(right.sum() / len(self._positions)),
            hidden=len(hidden),
            returned=share(hidden.returned),
            wrong_returns=float(hidden.wrong.sum()) / seen_again if seen_again else 0.0,
            behind=int((~left).sum()),
            returned_behind=share(hidden.returned[~left]),
            left=int(left.sum()),
            returned_left=share(hidden.returned[left]),
            survived=surviving_share(errors_px, points.visible, max(1, _SURVIVAL_FRAMES // self._every)),
            seen_hidden=float((points.seen & ~points.visible).sum() / points.seen.sum()),
            **{f"tap_within_{px}px": part for px, part in zip(THRESHOLDS_PX, benchmark.within, strict=True)},
            tap_occlusion_accuracy=benchmark.occlusion_accuracy,
            tap_average_jaccard=benchmark.average_jaccard,
        )

    def points(self) -> FollowedPoints:
        """The tracks beside the true positions of their points."""
        return self._positions.against(self._scene, self._every)

    def _step_errors(self) -> NDArray[np.float64]:
        """Errors of all steps between successive frames whose points are visible in both."""
        errors = [np.zeros(0)]
        for j in range(1, len(self._positions)):
            (ids_before, xy_before), (ids, xy) = (self._positions.seen_in(k) for k in (j - 1, j))
            _, before, now = np.intersect1d(ids_before, ids, return_indices=True)
            start, end = (j - 1) * self._every, j * self._every
            truth, visible = self._scene.truth(start, end, xy_before[before])
            errors.append(np.linalg.norm(truth - xy[now], axis=1)[visible])
        return np.concatenate(errors)


def surviving_share(errors_px: NDArray[np.floating], visible: NDArray[np.bool_], ahead: int) -> float:
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
    right = errors_px[:, ahead:] <= RIGHT_PX
    return float(right[asked].mean()) if asked.any() else 0.0
