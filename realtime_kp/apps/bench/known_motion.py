"""`bench --known-motion`: accuracy of all trackers on clips with known motion."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console

from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.progress import progress_bars
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import figures_table, write_json
from realtime_kp.config import AppConfig
from realtime_kp.errors import ModelError
from realtime_kp.evaluation.compared_trackers import make_trackers
from realtime_kp.evaluation.known_motion import Row, make_clips, measure_known_motion
from realtime_kp.evaluation.tap_vid import THRESHOLDS_PX
from realtime_kp.evaluation.track_accuracy import NothingTrackedError
from realtime_kp.evaluation.track_losses import NEAR_PX
from realtime_kp.features import ModelInfo, SuperPoint
from realtime_kp.machine import describe_machine
from realtime_kp.sinks import check_output
from realtime_kp.sources import DemoSpec, is_demo_spec, list_pictures


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
    with StopSignals() as signals, progress_bars(quiet) as bars:
        task = bars.add_task("clips", total=len(clips))
        with SuperPoint(config.superpoint) as superpoint:
            model = superpoint.info
            try:
                rows = measure_known_motion(
                    clips,
                    superpoint,
                    make_trackers(config.tracking),
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


_HEADS = (
    "mean length",
    "≤ 1 px",
    "median px",
    "≤ 2 px since birth",
    "right a frame",
    "returned",
    "from behind",
    "from outside",
    "wrongly",
    "alive and right, +30 frames",
    "seen though hidden",
    "ms",
)


_TAP_VID_HEADS = (
    *(f"δ < {px} px" for px in THRESHOLDS_PX),
    "δ mean",
    "occlusion accuracy",
    "average Jaccard",
)
_LOSS_HEADS = (
    "tracks",
    "born at depth edges",
    "right of those",
    "right of others",
    "end though visible",
    "of those at edges",
    "slid off",
    "seen though hidden",
)
_RETURN_HEADS = ("hidden", "returned", "wrongly", "ended", *(f"predicted ≤ {px:.0f} px" for px in NEAR_PX))


def _print(console: Console, rows: list[Row], clips: list[DemoSpec], *, why: bool) -> None:
    photographs = len({clip.picture for clip in clips} - {None})
    shown = f"{photographs} photographs" if photographs else "the demo scene"
    for every in sorted({row.every for row in rows}):
        pace = "every frame" if every == 1 else f"every {every}th frame"
        table = figures_table(f"{len(clips)} clips of {shown}, {pace}", "tracker", _HEADS)
        for row in (row for row in rows if row.every == every):
            found = row.accuracy
            table.add_row(
                row.tracker,
                f"{found.mean_length:.1f}",
                f"{found.within_1px:.1%}",
                f"{found.median_px:.2f}",
                f"{found.since_birth:.1%}",
                f"{found.correct_per_frame:.0f}",
                f"{found.returned:.1%}",
                f"{found.returned_behind:.1%}",
                f"{found.returned_left:.1%}",
                f"{found.wrong_returns:.1%}",
                f"{found.survived:.1%}",
                f"{found.seen_hidden:.1%}",
                f"{row.update_ms:.1f}",
            )
        console.print(table)
        paced = [row for row in rows if row.every == every]
        _print_tap_vid(console, paced, pace)
        if why:
            _print_losses(console, paced, pace)


def _print_tap_vid(console: Console, rows: list[Row], pace: str) -> None:
    table = figures_table(
        f"TAP-Vid's measures at 256 by 256 px, query first, {pace}", "tracker", _TAP_VID_HEADS
    )
    for row in rows:
        found = row.accuracy
        within = [getattr(found, f"tap_within_{px}px") for px in THRESHOLDS_PX]
        shares = (
            *within,
            sum(within) / len(within),
            found.tap_occlusion_accuracy,
            found.tap_average_jaccard,
        )
        table.add_row(row.tracker, *(f"{share:.1%}" for share in shares))
    console.print(table)


def _print_losses(console: Console, rows: list[Row], pace: str) -> None:
    table = figures_table(f"Where tracks are lost, {pace}", "tracker", _LOSS_HEADS)
    for row in rows:
        lost = row.losses
        shares = (
            lost.at_edges,
            lost.right_at_edges,
            lost.right_elsewhere,
            lost.ended_visible,
            lost.ended_at_edges,
            lost.slid,
            lost.seen_hidden,
        )
        table.add_row(row.tracker, str(lost.tracks), *(f"{share:.1%}" for share in shares))
    console.print(table)
    for name in ("behind", "left"):
        title = "Points that something was before" if name == "behind" else "Points that left the picture"
        table = figures_table(f"{title}, {pace}", "tracker", _RETURN_HEADS)
        for row in rows:
            found = getattr(row.losses, name)
            shares = (found.returned, found.wrong, found.ended, *found.predicted)
            table.add_row(row.tracker, str(found.count), *(f"{share:.1%}" for share in shares))
        console.print(table)
