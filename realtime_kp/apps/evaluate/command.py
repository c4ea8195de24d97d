"""`evaluate`: compares methods on image pairs, and networks on video as well."""

from __future__ import annotations

import logging
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from realtime_kp.apps.console import progress_bars
from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import figures_table, write_json
from realtime_kp.config import EvaluateConfig, ReportConfig, SuperPointConfig
from realtime_kp.errors import SourceError
from realtime_kp.evaluation.epipolar_pairs import (
    VIDEO_SUFFIXES,
    VideoPair,
    VideoScores,
    evaluate_videos,
    video_pairs,
)
from realtime_kp.evaluation.feature_extractors import CLASSICAL, open_extractor
from realtime_kp.evaluation.feature_metrics import PairScores, evaluate
from realtime_kp.evaluation.feature_set import FeatureExtractor
from realtime_kp.evaluation.homography_pairs import Kind, Pair, pictures_to_warp, real_pairs, warped_pairs
from realtime_kp.evaluation.known_motion import make_clips, measure_known_motion
from realtime_kp.evaluation.track_accuracy import NothingTrackedError, TrackAccuracy
from realtime_kp.machine import describe_machine
from realtime_kp.sinks import check_output
from realtime_kp.sources import DemoSpec, list_pictures
from realtime_kp.tracking import Tracker

log = logging.getLogger(__name__)

_CLIPS = 2
_CLIP_FRAMES = 45


@dataclass(frozen=True, slots=True)
class Result:
    """Scores of one method for one seed: by kind of pair, by video, and of tracks on known motion."""

    pairs: dict[Kind, PairScores]
    videos: dict[str, VideoScores]
    tracks: TrackAccuracy | None

    def figures(self) -> dict[str, dict[str, float]]:
        """Values of all figures by group (kind of pair, name of the video, `known_motion`) and name."""
        found = {str(kind): asdict(scores) for kind, scores in self.pairs.items()}
        found |= {name: asdict(scores) for name, scores in self.videos.items()}
        return found if self.tracks is None else {**found, "known_motion": asdict(self.tracks)}


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and spread of one figure over several seeds."""

    mean: float
    spread: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Mean, and difference between highest and lowest value."""
        return cls(fmean(values), max(values) - min(values))

    def text(self, digits: int, *, percent: bool = False) -> str:
        """The mean, and half of the spread where there are several seeds."""
        style = f".{digits}{'%' if percent else 'f'}"
        return f"{self.mean:{style}}" + (f" ± {self.spread / 2:{style}}" if self.spread else "")


Figures = dict[str, dict[str, Spread]]
P = TypeVar("P", Pair, VideoPair)


def run_evaluate(
    names: list[str],
    data: Path | None,
    config: EvaluateConfig,
    superpoint: SuperPointConfig,
    report: ReportConfig,
    console: Console,
    *,
    quiet: bool = False,
) -> int:
    """Evaluate methods on the same pairs.

    Args:
        names: `orb`, `sift`, `xfeat`, or values of `--model`.
        data: Folder or zip file of images (see `real_pairs` and `warped_pairs`) and videos; None uses images
            of the demo scene.
        config: Number of keypoints and pairs.
        superpoint: Device, engine and precision.
        report: Output files.
        console: Where the table is printed.
        quiet: Print errors only.

    Returns:
        0, or 130 after a signal.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    if report.summary is not None:
        check_output(report.summary, overwrite=report.overwrite, inputs=[] if data is None else [str(data)])
    results: dict[str, Figures] = {}
    with (
        StopSignals() as signals,
        progress_bars(quiet) as bars,
        _folder(data) as folder,
    ):
        seeds = range(config.seed, config.seed + config.repeats)
        videos = _videos(folder)
        real = list(real_pairs(folder))
        pairs = {seed: [*real, *warped_pairs(folder, config.max_pairs, seed)] for seed in seeds}
        if not videos and not pairs[config.seed]:
            raise SourceError(f"{data} holds no pictures, and no videos whose frames match")
        total = sum(map(len, pairs.values())) + sum(map(len, videos.values()))
        for name in names:
            task = bars.add_task(name, total=total)
            counted = partial(_counted, signals=signals, advance=partial(bars.advance, task))
            with open_extractor(name, config.keypoints, superpoint) as method:
                found = [evaluate(method, counted(some)) for some in pairs.values()]
                seen = evaluate_videos(method, {video: counted(some) for video, some in videos.items()})
            if signals.received:
                break
            tracks = _tracks(name, folder, seeds, superpoint) if config.video else [None] * len(seeds)
            results[name] = _spread(
                [Result(scores, seen, tracked) for scores, tracked in zip(found, tracks, strict=True)]
            )
    first = pairs[config.seed]
    if report.summary is not None:
        write_json(report.summary, _to_dict(results, config, len(first), interrupted=signals.received))
    if not quiet:
        for table in _tables(results, first, {video: len(some) for video, some in videos.items()}):
            console.print(table)
    return INTERRUPTED if signals.received else DONE


def _spread(results: list[Result]) -> Figures:
    runs = [result.figures() for result in results]
    return {
        kind: {name: Spread.of([run[kind][name] for run in runs]) for name in figures}
        for kind, figures in runs[0].items()
    }


def _videos(folder: Path) -> dict[str, list[VideoPair]]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    found = {path.relative_to(folder).as_posix(): list(video_pairs(path)) for path in files}
    return {name: pairs for name, pairs in found.items() if pairs}


def _counted(pairs: list[P], signals: StopSignals, advance: Any) -> Iterator[P]:
    for pair in pairs:
        if signals.received:
            return
        yield pair
        advance()


def _tracks(
    name: str, folder: Path, seeds: range, superpoint: SuperPointConfig
) -> list[TrackAccuracy] | list[None]:
    """Accuracy of tracks for each seed; None where the method has no descriptors that a tracker takes."""
    if name in CLASSICAL:
        return [None] * len(seeds)
    folders = sorted({path.parent for path in pictures_to_warp(folder)})
    pictures = [path for place in folders for path in list_pictures(place)]
    shown: Sequence[Path | None] = pictures[: _CLIPS * 8 : 8] or [None]
    with open_extractor(name, superpoint.max_keypoints, superpoint, threshold=True) as method:
        try:
            return [_track(method, shown, seed) for seed in seeds]
        except NothingTrackedError as exc:
            log.warning("%s: %s on clips of known motion", name, exc)
            return [None] * len(seeds)


def _track(method: FeatureExtractor, pictures: Sequence[Path | None], seed: int) -> TrackAccuracy:
    scenes = [DemoSpec(picture=picture, frames=_CLIP_FRAMES, seed=seed) for picture in pictures]
    rows = measure_known_motion(
        make_clips(scenes)[:_CLIPS],
        lambda image: method.features(image).keypoints(),
        {"descriptor": partial(Tracker, kind="descriptor")},
    )
    return next(row.accuracy for row in rows if row.every == 1)


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None and data.is_dir():
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="realtime-kp-") as name:
        folder = Path(name)
        if data is None:
            _draw_pictures(folder)
        else:
            try:
                with zipfile.ZipFile(data) as archive:
                    archive.extractall(folder)
            except (OSError, zipfile.BadZipFile) as exc:
                raise SourceError(f"{data} is neither a folder nor a zip file: {exc}") from exc
        yield folder


def _draw_pictures(folder: Path) -> None:
    import cv2

    from realtime_kp.sources import procedural_picture

    for seed in range(8):
        cv2.imwrite(str(folder / f"{seed}.png"), procedural_picture((480, 320), seed))


def _to_dict(
    results: dict[str, Figures], config: EvaluateConfig, pairs: int, *, interrupted: bool
) -> dict[str, Any]:
    def values(what: str) -> dict[str, Any]:
        return {
            method: {
                kind: {name: getattr(figure, what) for name, figure in figures.items()}
                for kind, figures in result.items()
            }
            for method, result in results.items()
        }

    return {
        "command": "evaluate",
        "keypoints": config.keypoints,
        "seed": config.seed,
        "repeats": config.repeats,
        "pairs": pairs,
        "methods": values("mean"),
        "spread": values("spread"),
        "stopped_by": "signal" if interrupted else "end",
        "machine": describe_machine(),
    }


_SCORE_HEADS = {
    "repeated": "repeatability",
    "px": "localisation_px",
    "matches ≤ 1": "matches_1px",
    "≤ 3 px": "matches_3px",
    "homographies ≤ 1": "homography_1px",
    "≤ 3": "homography_3px",
    "≤ 5 px": "homography_5px",
}
_PLANE_HEADS = {"plane ≤ 3": "plane_3px"}
_VIDEO_HEADS = {"right": "right", "of all, ≤ 1": "matches_1px", "≤ 3 px": "matches_3px"}


def _tables(results: dict[str, Figures], pairs: list[Pair], videos: dict[str, int]) -> Iterator[Table]:
    for kind in ("illumination", "viewpoint", "real"):
        count = sum(pair.kind == kind for pair in pairs)
        if count == 0:
            continue
        heads = _SCORE_HEADS | (_PLANE_HEADS if kind == "real" else {})
        table = figures_table(f"{count} pairs, {kind}", "method", heads)
        for name, result in results.items():
            if kind in result:
                figures = (result[kind][field] for field in heads.values())
                table.add_row(name, *(figure.text(2 if i == 1 else 3) for i, figure in enumerate(figures)))
        yield table
    for video, count in videos.items():
        table = figures_table(f"{count} pairs of {video}", "method", _VIDEO_HEADS)
        for name, result in results.items():
            if video in result:
                right, *shares = (result[video][field] for field in _VIDEO_HEADS.values())
                table.add_row(name, right.text(0), *(share.text(3) for share in shares))
        yield table
    tracked = {name: result["known_motion"] for name, result in results.items() if "known_motion" in result}
    if tracked:
        table = figures_table("known motion, descriptor tracker", "method", ("mean length", "steps ≤ 1 px"))
        for name, found in tracked.items():
            table.add_row(name, found["mean_length"].text(1), found["within_1px"].text(1, percent=True))
        yield table
