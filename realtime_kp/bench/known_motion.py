"""Trackers on clips whose true motion is known: every tracker sees the same frames and the same keypoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Literal, Protocol

import numpy as np

from realtime_kp.bench.accuracy import TrackAccuracy, TrackRecord
from realtime_kp.bench.baselines import KltTracker, NearestNeighbourTracker
from realtime_kp.config import TrackingConfig
from realtime_kp.features import Extractor
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.sources import DemoSpec
from realtime_kp.tracking import Tracker

CLIP_FRAMES = 90
MIN_CLIPS = 6
STEPS = (1, 6)


class PointTracker(Protocol):
    """What is measured: anything that turns frames and keypoints into tracks."""

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Carry the tracks to a frame."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One tracker's means over all clips.

    Attributes:
        tracker: Its name.
        every: Every how many frames of the scenes the clips show one.
        accuracy: Means over the clips; counts are sums.
    """

    tracker: str
    every: int
    accuracy: TrackAccuracy


def make_trackers(config: TrackingConfig) -> dict[str, Callable[[], PointTracker]]:
    """The trackers of the table: ours of every kind, the original demo's way, OpenCV's."""
    kinds: tuple[Literal["hybrid", "flow", "descriptor"], ...] = ("hybrid", "flow", "descriptor")
    ours: dict[str, Callable[[], PointTracker]] = {
        kind: partial(Tracker, replace(config, kind=kind)) for kind in kinds
    }
    return {
        **ours,
        "nearest neighbours, no gate": NearestNeighbourTracker,
        "OpenCV KLT": KltTracker,
    }


def make_clips(scenes: Sequence[DemoSpec]) -> list[DemoSpec]:
    """At least six clips with fixed seeds, every other one with the occluder.

    Args:
        scenes: What to show, in turn; the i-th clip has i added to its seed.
    """
    clips = [scenes[i % len(scenes)] for i in range(max(MIN_CLIPS, len(scenes)))]
    return [replace(clip, occluder=i % 2 == 1, seed=clip.seed + i) for i, clip in enumerate(clips)]


def measure_known_motion(
    clips: Sequence[DemoSpec],
    superpoint: Extractor,
    trackers: Mapping[str, Callable[[], PointTracker]],
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Run every tracker over every clip, at full rate and at every sixth frame.

    Args:
        clips: Scenes to show.
        superpoint: Finds the keypoints, once a frame for all trackers.
        trackers: By name; each clip gets a new one.
        stopped: Asked before every clip whether to end early.
        progress: Called after every clip.

    Returns:
        A row a tracker and step; no rows where it was stopped before the first clip was done.
    """
    found: dict[tuple[int, str], list[TrackAccuracy]] = {}
    for clip in clips:
        if stopped():
            break
        for key, accuracy in _measure_clip(clip, superpoint, trackers).items():
            found.setdefault(key, []).append(accuracy)
        progress()
    return [
        Row(name, every, _mean(results)) for (every, name), results in sorted(found.items(), key=_by_step)
    ]


def _measure_clip(
    clip: DemoSpec, superpoint: Extractor, trackers: Mapping[str, Callable[[], PointTracker]]
) -> dict[tuple[int, str], TrackAccuracy]:
    scene = clip.scene()
    runs = {
        (every, name): (make(), TrackRecord(scene, every * clip.every))
        for every in STEPS
        for name, make in trackers.items()
    }
    for number in range(clip.frames or CLIP_FRAMES):
        image = scene.render(number * clip.every)
        keypoints = superpoint.extract(image).keypoints
        for (every, _), (tracker, record) in runs.items():
            if number % every == 0:
                index = number // every
                record.add(tracker.update(Frame(index, number / 30, 0.0, image), keypoints))
    return {key: record.accuracy() for key, (_, record) in runs.items()}


def _mean(results: Sequence[TrackAccuracy]) -> TrackAccuracy:
    values = {f.name: [getattr(result, f.name) for result in results] for f in fields(TrackAccuracy)}
    hidden = np.array(values["hidden"], float)
    means = {name: float(np.mean(column)) for name, column in values.items()}
    # Clips without an occluder hide few points: their share of returns must not weigh as much.
    for name in ("returned", "wrong_returns"):
        means[name] = float(np.average(values[name], weights=hidden)) if hidden.sum() else 0.0
    counts = {name: sum(values[name]) for name in ("steps", "hidden")}
    return TrackAccuracy(**{**means, **counts})


def _by_step(item: tuple[tuple[int, str], list[TrackAccuracy]]) -> int:
    return item[0][0]
