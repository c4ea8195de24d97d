"""`evaluate`: methods held against each other on pairs of pictures, SuperPoints on video as well."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import write_json
from realtime_kp.bench.accuracy import TrackAccuracy
from realtime_kp.bench.evaluation import PairScores, evaluate
from realtime_kp.bench.known_motion import make_clips, measure_known_motion
from realtime_kp.bench.methods import CLASSICAL, open_method
from realtime_kp.bench.pairs import Kind, Pair, make_pairs
from realtime_kp.config import EvaluateConfig, ReportConfig, SuperPointConfig
from realtime_kp.errors import SourceError
from realtime_kp.features import SuperPoint
from realtime_kp.machine import describe_machine
from realtime_kp.sinks import check_output
from realtime_kp.sources import DemoSpec, list_pictures
from realtime_kp.tracking import Tracker

_CLIPS = 2
_CLIP_FRAMES = 45


@dataclass(frozen=True, slots=True)
class Result:
    """Of one method: scores by kind of pair, and tracks on clips where it is a SuperPoint."""

    pairs: dict[Kind, PairScores]
    tracks: TrackAccuracy | None


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
    """Judge methods on the same pairs.

    Args:
        names: `orb`, `sift`, or what `--model` takes.
        data: A folder or zip file of pictures, see `make_pairs`; the demo scene's pictures without one.
        config: How many keypoints and pairs.
        superpoint: Device, engine and precision.
        report: Where the figures go.
        console: Where the table goes.
        quiet: Print errors only.

    Returns:
        0, or 130 where a signal ended it.

    Raises:
        RealtimeKpError: What went wrong.
    """
    if report.summary is not None:
        check_output(report.summary, overwrite=report.overwrite, inputs=[] if data is None else [str(data)])
    results: dict[str, Result] = {}
    with (
        StopSignals() as signals,
        Progress(console=Console(stderr=True), disable=quiet) as bars,
        _folder(data) as folder,
    ):
        pairs = list(make_pairs(folder, config.max_pairs, config.seed))
        for name in names:
            task = bars.add_task(name, total=len(pairs))
            with open_method(name, config.keypoints, superpoint) as method:
                shown = _counted(pairs, signals, partial(bars.advance, task))
                found = evaluate(method, shown)
            if signals.received:
                break
            results[name] = Result(found, _tracks(name, folder, config, superpoint))
    if report.summary is not None:
        write_json(report.summary, _to_dict(results, config, len(pairs), interrupted=signals.received))
    if not quiet:
        for table in _tables(results, pairs):
            console.print(table)
    return INTERRUPTED if signals.received else DONE


def _counted(pairs: list[Pair], signals: StopSignals, advance: Any) -> Iterator[Pair]:
    for pair in pairs:
        if signals.received:
            return
        yield pair
        advance()


def _tracks(
    name: str, folder: Path, config: EvaluateConfig, superpoint: SuperPointConfig
) -> TrackAccuracy | None:
    if name in CLASSICAL or not config.video:
        return None
    pictures = [path for path in list_pictures(str(folder / "**" / "*")) if path.parent.name != "graf"]
    scenes = [DemoSpec(picture=picture, frames=_CLIP_FRAMES, seed=config.seed) for picture in pictures]
    clips = make_clips(scenes[: _CLIPS * 8 : 8] or [DemoSpec(frames=_CLIP_FRAMES, seed=config.seed)])[:_CLIPS]
    with SuperPoint(replace(superpoint, model=name)) as network:
        rows = measure_known_motion(clips, network, {"descriptor": partial(Tracker, kind="descriptor")})
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
    results: dict[str, Result], config: EvaluateConfig, pairs: int, *, interrupted: bool
) -> dict[str, Any]:
    return {
        "command": "evaluate",
        "keypoints": config.keypoints,
        "seed": config.seed,
        "pairs": pairs,
        "methods": {
            name: {
                **{kind: asdict(scores) for kind, scores in result.pairs.items()},
                "known_motion": None if result.tracks is None else asdict(result.tracks),
            }
            for name, result in results.items()
        },
        "stopped_by": "signal" if interrupted else "end",
        "machine": describe_machine(),
    }


def _tables(results: dict[str, Result], pairs: list[Pair]) -> Iterator[Table]:
    for kind in ("illumination", "viewpoint", "real"):
        count = sum(pair.kind == kind for pair in pairs)
        if count == 0:
            continue
        table = Table(title=f"{count} pairs, {kind}", title_justify="left")
        table.add_column("method")
        for head in ("repeated", "px", "matches ≤ 1", "≤ 3 px", "homographies ≤ 1", "≤ 3", "≤ 5 px"):
            table.add_column(head, justify="right")
        for name, result in results.items():
            found = result.pairs.get(kind)
            if found is not None:
                shares = (found.matches_1px, found.matches_3px)
                close = (found.homography_1px, found.homography_3px, found.homography_5px)
                table.add_row(
                    name,
                    f"{found.repeatability:.3f}",
                    f"{found.localisation_px:.2f}",
                    *(f"{share:.3f}" for share in (*shares, *close)),
                )
        yield table
    if any(result.tracks for result in results.values()):
        table = Table(title="known motion, descriptor tracker", title_justify="left")
        table.add_column("method")
        table.add_column("mean length", justify="right")
        table.add_column("steps ≤ 1 px", justify="right")
        for name, result in results.items():
            if result.tracks is not None:
                table.add_row(name, f"{result.tracks.mean_length:.1f}", f"{result.tracks.within_1px:.1%}")
        yield table
