"""`bench --known-motion`: accuracy of all trackers on clips with known motion."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console

from realtime_kp.apps.console import progress_bars
from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import figures_table, write_json
from realtime_kp.config import AppConfig
from realtime_kp.errors import ModelError
from realtime_kp.evaluation.compared_trackers import make_trackers
from realtime_kp.evaluation.known_motion import Row, make_clips, measure_known_motion
from realtime_kp.evaluation.own_points import COUNT, make_point_trackers
from realtime_kp.evaluation.tap_vid import THRESHOLDS_PX
from realtime_kp.evaluation.track_accuracy import NothingTrackedError, TrackAccuracy
from realtime_kp.evaluation.track_losses import NEAR_PX, TrackLosses
from realtime_kp.features import ModelInfo, SuperPoint
from realtime_kp.lens import open_lens_file
from realtime_kp.machine import describe_machine
from realtime_kp.sinks import check_output
from realtime_kp.sources import DemoSpec, is_demo_spec, list_pictures

_OWN = "own points"


def run_known_motion(pictures: list[str], config: AppConfig, console: Console, *, quiet: bool = False) -> int:
    """Measure all trackers on clips made of photographs, or of the demo scene.

    Args:
        pictures: Files, folders or globs of photographs, or `demo:PICTURE?…` with options; empty for the demo
            scene.
        config: All settings.
        console: Where the table is printed.
        quiet: Print errors only.

    Returns:
        0, or 130 after a signal.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    summary = config.report.summary
    if summary is not None:
        check_output(summary, overwrite=config.report.overwrite, inputs=pictures)
    scenes = _what_to_show(pictures)
    clips = make_clips(scenes)
    camera = config.input.camera
    lens = None if camera is None else open_lens_file(camera, config.input.camera_name)
    with StopSignals() as signals, progress_bars(quiet) as bars:
        task = bars.add_task("clips", total=len(clips))
        with SuperPoint(config.superpoint) as superpoint:
            model = superpoint.info
            try:
                rows = measure_known_motion(
                    clips,
                    superpoint,
                    make_trackers(config.tracking) | make_point_trackers(config.tracking),
                    lens=lens,
                    stopped=lambda: signals.received,
                    progress=lambda: bars.advance(task),
                )
            except NothingTrackedError as exc:
                raise ModelError(f"with the keypoints of {model.model} {exc}") from exc
    if summary is not None:
        write_json(summary, _to_dict(rows, len(clips), model, interrupted=signals.received))
    if not quiet:
        _print(console, rows, clips, why=config.bench.why)
    return INTERRUPTED if signals.received else DONE


def _what_to_show(pictures: list[str]) -> list[DemoSpec]:
    scenes = []
    for picture in pictures or ["demo"]:
        if is_demo_spec(picture):
            scenes.append(DemoSpec.parse(picture))
        else:
            scenes += [DemoSpec(picture=path) for path in list_pictures(picture)]
    return scenes


def _to_dict(rows: list[Row], clips: int, model: ModelInfo, *, interrupted: bool) -> dict[str, Any]:
    return {
        "command": "bench --known-motion",
        "model": model.model,
        "engine": model.engine,
        "precision": model.precision,
        "clips": clips,
        "rows": [
            {
                "tracker": row.tracker,
                "every": row.every,
                "update_ms": round(row.update_ms, 3),
                **_rounded(asdict(row.accuracy)),
                "losses": _rounded(asdict(row.losses)),
            }
            for row in rows
        ],
        "stopped_by": "signal" if interrupted else "end",
        "machine": describe_machine(),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 4)


def _print(console: Console, rows: list[Row], clips: list[DemoSpec], *, why: bool) -> None:
    """One table a pace, with a column for each tracker: the figures are too many for columns."""
    photographs = len({clip.picture for clip in clips} - {None})
    shown = f"{photographs} photographs" if photographs else "the demo scene"
    for every in sorted({row.every for row in rows}):
        pace = "every frame" if every == 1 else f"every {every}th frame"
        paced = [row for row in rows if row.every == every and not row.tracker.startswith(_OWN)]
        own = [row for row in rows if row.every == every and row.tracker.startswith(_OWN)]
        names = tuple(row.tracker for row in paced)
        table = figures_table(f"{len(clips)} clips of {shown}, {pace}", "", names)
        columns = [_figures(row.accuracy, row.update_ms) for row in paced]
        if why:
            columns = [found | _losses(row.losses) for found, row in zip(columns, paced, strict=True)]
        for name in columns[0]:
            table.add_row(name, *(found[name] for found in columns))
        console.print(table)
        _print_own_points(console, own)


def _print_own_points(console: Console, rows: list[Row]) -> None:
    title = f"the same clips: {COUNT} random points of their first frames"
    table = figures_table(
        title, "", tuple(row.tracker.removeprefix(_OWN).strip(", ") or "hybrid" for row in rows)
    )
    columns = [_figures(row.accuracy, row.update_ms) for row in rows]
    for name in columns[0]:
        if name.startswith("TAP-Vid"):
            table.add_row(name, *(found[name] for found in columns))
    console.print(table)


def _figures(found: TrackAccuracy, update_ms: float) -> dict[str, str]:
    within = [getattr(found, f"tap_within_{px}px") for px in THRESHOLDS_PX]
    return {
        "mean length, frames": f"{found.mean_length:.1f}",
        "steps ≤ 1 px": f"{found.within_1px:.1%}",
        "median step error, px": f"{found.median_px:.2f}",
        "≤ 2 px since birth": f"{found.since_birth:.1%}",
        "right in a frame": f"{found.correct_per_frame:.0f}",
        "alive and right, +30 frames": f"{found.survived:.1%}",
        "seen though hidden": f"{found.seen_hidden:.1%}",
        "hidden points that return": f"{found.returned:.1%}",
        "  from behind something": f"{found.returned_behind:.1%}",
        "  from outside the picture": f"{found.returned_left:.1%}",
        "returns that are wrong": f"{found.wrong_returns:.1%}",
        **{f"TAP-Vid δ < {px} px": f"{share:.1%}" for px, share in zip(THRESHOLDS_PX, within, strict=True)},
        "TAP-Vid δ, mean": f"{sum(within) / len(within):.1%}",
        "TAP-Vid occlusion accuracy": f"{found.tap_occlusion_accuracy:.1%}",
        "TAP-Vid average Jaccard": f"{found.tap_average_jaccard:.1%}",
        "ms a frame": f"{update_ms:.1f}",
    }


def _losses(lost: TrackLosses) -> dict[str, str]:
    told = {
        "tracks": str(lost.tracks),
        "born at depth edges": f"{lost.at_edges:.1%}",
        "  right of those": f"{lost.right_at_edges:.1%}",
        "  right of the others": f"{lost.right_elsewhere:.1%}",
        "ended though visible": f"{lost.ended_visible:.1%}",
        "  of those born at edges": f"{lost.ended_at_edges:.1%}",
        "slid off": f"{lost.slid:.1%}",
    }
    for name, found in (("hidden behind something", lost.behind), ("left the picture", lost.left)):
        told[name] = str(found.count)
        told[f"{name}: returned"] = f"{found.returned:.1%}"
        told[f"{name}: wrongly"] = f"{found.wrong:.1%}"
        told[f"{name}: ended"] = f"{found.ended:.1%}"
        for px, share in zip(NEAR_PX, found.predicted, strict=True):
            told[f"{name}: predicted ≤ {px:.0f} px"] = f"{share:.1%}"
    return told
