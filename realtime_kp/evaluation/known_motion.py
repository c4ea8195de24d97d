"""Comparison of trackers on clips with known motion; all of them get the same frames and keypoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from realtime_kp.evaluation.compared_trackers import PointTracker
from realtime_kp.evaluation.one_core import one_core
from realtime_kp.evaluation.track_accuracy import MAX_HIDDEN_FRAMES, TrackAccuracy, TrackRecord
from realtime_kp.evaluation.track_losses import TrackLosses, mean_losses, track_losses
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints
from realtime_kp.lens import LensFile
from realtime_kp.sources import DemoSpec, KnownScene

CLIP_FRAMES = 90
MIN_CLIPS = 6
STEPS = (1, 6)

_WEIGHTED_BY = {
    "returned": "hidden",
    "wrong_returns": "hidden",
    "returned_behind": "behind",
    "returned_left": "left",
}

FindKeypoints = Callable[[NDArray[np.uint8]], Keypoints]


@dataclass(frozen=True, slots=True)
class Row:
    """Means of one tracker over all clips.

    Attributes:
        tracker: Its name.
        every: Step between the frames of the scenes that the clips show.
        accuracy: Means over the clips; counts are sums.
        update_ms: Median time of an update on one core.
        losses: Where its tracks are lost.
    """

    tracker: str
    every: int
    accuracy: TrackAccuracy
    update_ms: float
    losses: TrackLosses


def make_clips(scenes: Sequence[DemoSpec]) -> list[DemoSpec]:
    """At least six clips with fixed seeds, every second one with an occluder.

    Args:
        scenes: Scenes to use in turn; i is added to the seed of the i-th clip.
    """
    clips = [scenes[i % len(scenes)] for i in range(max(MIN_CLIPS, len(scenes)))]
    return [replace(clip, occluder=i % 2 == 1, seed=clip.seed + i) for i, clip in enumerate(clips)]


def measure_known_motion(
    clips: Sequence[DemoSpec],
    find: FindKeypoints,
    trackers: Mapping[str, Callable[[], PointTracker]],
    *,
    lens: LensFile | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Run all trackers on all clips, at the full frame rate and with every sixth frame.

    Args:
        clips: Scenes.
        find: Detects the keypoints, once per frame for all trackers.
        trackers: Factories by name; each clip gets a new tracker.
        lens: What the trackers know of the lens; None for nothing.
        stopped: Called before each clip; True ends the measurement early.
        progress: Called after each clip.

    Returns:
        One row per tracker and step; none if stopped before the first clip was done.
    """
    runs: dict[tuple[int, str], list[_Run]] = {}
    with one_core():
        for clip in clips:
            if stopped():
                break
            for key, run in _run_clip(clip, find, trackers, lens).items():
                runs.setdefault(key, []).append(run)
            progress()
    rows = []
    for (every, name), done in sorted(runs.items(), key=_by_step):
        found = [run.measure() for run in done]
        accuracy, losses = _mean([one for one, _ in found]), mean_losses([one for _, one in found])
        rows.append(Row(name, every, accuracy, _median_ms(done), losses))
    return rows


@dataclass(frozen=True, slots=True)
class _Run:
    """One tracker on one clip."""

    tracker: PointTracker
    record: TrackRecord
    scene: KnownScene
    every: int
    took_ms: list[float] = field(default_factory=list)

    def show(self, frame: Frame, keypoints: Keypoints) -> None:
        started_s = time.perf_counter()
        tracks = self.tracker.update(frame, keypoints)
        self.took_ms.append((time.perf_counter() - started_s) * 1e3)
        self.record.add(tracks)

    def measure(self) -> tuple[TrackAccuracy, TrackLosses]:
        points = self.record.points()
        losses = track_losses(points, self.scene, self.every, MAX_HIDDEN_FRAMES // self.every)
        return self.record.accuracy(points), losses


def _run_clip(
    clip: DemoSpec,
    find: FindKeypoints,
    trackers: Mapping[str, Callable[[], PointTracker]],
    lens_file: LensFile | None,
) -> dict[tuple[int, str], _Run]:
    scene = clip.scene()
    images = [scene.render(number * clip.every) for number in range(clip.frames or CLIP_FRAMES)]
    # Keypoints are detected first: between inferences, trackers would share cores with idle threads of the
    # network.
    keypoints = [find(image) for image in images]
    lens = None if lens_file is None else lens_file.of_size(scene.size_wh)
    runs = {}
    for every in STEPS:
        for name, make in trackers.items():
            step = every * clip.every
            run = runs[every, name] = _Run(make(), TrackRecord(scene, step), scene, step)
            for index, number in enumerate(range(0, len(images), every)):
                run.show(Frame(index, number / 30, 0.0, images[number], lens=lens), keypoints[number])
    return runs


def _median_ms(runs: Sequence[_Run]) -> float:
    return float(np.median([ms for run in runs for ms in run.took_ms]))


def _mean(results: Sequence[TrackAccuracy]) -> TrackAccuracy:
    values = {f.name: [getattr(result, f.name) for result in results] for f in fields(TrackAccuracy)}
    means = {name: float(np.mean(column)) for name, column in values.items()}
    # Returns are weighted by the number of hidden points, of which clips without an occluder have few.
    for name, counts in _WEIGHTED_BY.items():
        weights = np.array(values[counts], float)
        means[name] = float(np.average(values[name], weights=weights)) if weights.sum() else 0.0
    sums = {name: sum(values[name]) for name in ("steps", "hidden", "behind", "left")}
    return TrackAccuracy(**{**means, **sums})


def _by_step(item: tuple[tuple[int, str], list[_Run]]) -> int:
    return item[0][0]
