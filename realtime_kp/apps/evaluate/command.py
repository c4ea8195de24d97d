"""`evaluate`: compares methods on image pairs, and networks on video as well."""

from __future__ import annotations

import logging
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress

from realtime_kp.apps.console import progress_bars
from realtime_kp.apps.evaluate.figures import Figures, Result, spread_over_seeds
from realtime_kp.apps.evaluate.tables import result_tables
from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import write_json
from realtime_kp.config import EvaluateConfig, ReportConfig, SuperPointConfig
from realtime_kp.errors import SourceError
from realtime_kp.evaluation.epipolar_pairs import (
    VIDEO_SUFFIXES,
    VideoPair,
    evaluate_videos,
    video_pairs,
)
from realtime_kp.evaluation.feature_extractors import CLASSICAL, open_extractor
from realtime_kp.evaluation.feature_metrics import evaluate
from realtime_kp.evaluation.feature_set import FeatureExtractor
from realtime_kp.evaluation.homography_pairs import Pair, pictures_to_warp, real_pairs, warped_pairs
from realtime_kp.evaluation.known_motion import make_clips, measure_known_motion
from realtime_kp.evaluation.room_scores import evaluate_rooms, relit_room_pairs, textures_of
from realtime_kp.evaluation.track_accuracy import NothingTrackedError, TrackAccuracy
from realtime_kp.machine import describe_machine
from realtime_kp.sinks import check_output
from realtime_kp.sources import DemoSpec, list_pictures
from realtime_kp.sources.room_pairs import RoomPair
from realtime_kp.tracking import Tracker

log = logging.getLogger(__name__)

_CLIPS = 2
_CLIP_FRAMES = 45


P = TypeVar("P", Pair, RoomPair, VideoPair)


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
        config: Number of keypoints, pairs and rooms.
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
        rooms = _rooms(folder, config.rooms, seeds, signals, bars)
        total = sum(len(some) for kind in (pairs, rooms, videos) for some in kind.values())
        for name in names:
            task = bars.add_task(name, total=total)
            counted = partial(_counted, signals=signals, advance=partial(bars.advance, task))
            with open_extractor(name, config.keypoints, superpoint) as method:
                found = [evaluate(method, counted(some)) for some in pairs.values()]
                in_rooms = [evaluate_rooms(method, counted(some)) for some in rooms.values()]
                seen = evaluate_videos(method, {video: counted(some) for video, some in videos.items()})
            if signals.received:
                break
            tracks = _tracks(name, folder, seeds, superpoint) if config.video else [None] * len(seeds)
            results[name] = spread_over_seeds(
                [
                    Result(scores, scenes, seen, tracked)
                    for scores, scenes, tracked in zip(found, in_rooms, tracks, strict=True)
                ]
            )
    first, in_each = pairs[config.seed], len(rooms[config.seed])
    if report.summary is not None:
        write_json(
            report.summary, _to_dict(results, config, len(first), in_each, interrupted=signals.received)
        )
    if not quiet:
        counts = {video: len(some) for video, some in videos.items()}
        for table in result_tables(results, first, in_each, counts):
            console.print(table)
    return INTERRUPTED if signals.received else DONE


def _rooms(
    folder: Path, count: int, seeds: range, signals: StopSignals, bars: Progress
) -> dict[int, list[RoomPair]]:
    """Pairs of pictures of rooms for each seed; none where the folder has no pictures for their walls."""
    textures = textures_of(folder) if count else []
    if not textures:
        return {seed: [] for seed in seeds}
    advance = partial(bars.advance, bars.add_task("rooms", total=count * len(seeds)))
    return {seed: list(_counted(relit_room_pairs(textures, count, seed), signals, advance)) for seed in seeds}


def _videos(folder: Path) -> dict[str, list[VideoPair]]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    found = {path.relative_to(folder).as_posix(): list(video_pairs(path)) for path in files}
    return {name: pairs for name, pairs in found.items() if pairs}


def _counted(pairs: Iterable[P], signals: StopSignals, advance: Any) -> Iterator[P]:
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
    results: dict[str, Figures], config: EvaluateConfig, pairs: int, rooms: int, *, interrupted: bool
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
        "rooms": rooms,
        "methods": values("mean"),
        "spread": values("spread"),
        "stopped_by": "signal" if interrupted else "end",
        "machine": describe_machine(),
    }
