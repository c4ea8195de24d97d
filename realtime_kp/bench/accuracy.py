"""How well tracks follow a scene whose motion is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sources import Scene


@dataclass(frozen=True, slots=True)
class TrackAccuracy:
    """Errors of confirmed tracks against the truth.

    Attributes:
        steps: Steps measured: a track seen in two successive frames, its point visible in both.
        within_1px: Share of the steps that end within a pixel of where the truth takes their start.
        within_3px: The same for three pixels.
        median_px: Median error of a step.
        mean_length: Mean number of frames in which a confirmed track was seen.
        tracks_per_frame: Mean number of confirmed tracks seen in a frame.
    """

    steps: int
    within_1px: float
    within_3px: float
    median_px: float
    mean_length: float
    tracks_per_frame: float


def track_accuracy(frames: Iterable[TrackedFrame], scene: Scene) -> TrackAccuracy:
    """Compare tracks with the truth, step by step.

    Args:
        frames: Tracked frames of the scene, in order, with the scene's own frame numbers as indices.
        scene: The scene they show.

    Raises:
        ValueError: No track could be followed for a single step.
    """
    before: dict[int, np.ndarray] = {}
    before_index = 0
    errors: list[np.ndarray] = []
    lengths: dict[int, int] = {}
    per_frame: list[int] = []
    for tracked in frames:
        seen = tracked.tracks.seen_confirmed
        now = dict(zip(seen.ids.tolist(), seen.xy, strict=True))
        lengths.update(zip(seen.ids.tolist(), seen.lengths.tolist(), strict=True))
        per_frame.append(len(now))
        common = sorted(now.keys() & before.keys())
        if common:
            truth, visible = scene.truth(
                before_index, tracked.frame.index, np.stack([before[track_id] for track_id in common])
            )
            gap = np.linalg.norm(truth - np.stack([now[track_id] for track_id in common]), axis=1)
            errors.append(gap[visible])
        before, before_index = now, tracked.frame.index
    found = np.concatenate(errors) if errors else np.zeros(0)
    if len(found) == 0:
        raise ValueError("no track could be followed for a single step")
    return TrackAccuracy(
        steps=len(found),
        within_1px=float((found <= 1).mean()),
        within_3px=float((found <= 3).mean()),
        median_px=float(np.median(found)),
        mean_length=float(np.mean(list(lengths.values()))),
        tracks_per_frame=float(np.mean(per_frame)),
    )
