"""`bench --real-motion`: survival and consistency of the tracks of all trackers on real video."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Table

from realtime_kp.apps.console import progress_bars
from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import figures_table, model_entries, write_json
from realtime_kp.config import AppConfig
from realtime_kp.evaluation.compared_trackers import make_trackers
from realtime_kp.evaluation.real_motion import RealMotionScores, measure_real_motion
from realtime_kp.features import ModelInfo, SuperPoint
from realtime_kp.machine import describe_machine
from realtime_kp.sinks import check_output
from realtime_kp.sources import display_name, open_source

Results = dict[str, dict[str, RealMotionScores]]


def run_real_motion(videos: list[str], config: AppConfig, console: Console, *, quiet: bool = False) -> int:
    """Measure all trackers on the first frames of videos.

    Args:
        videos: Sources; empty for the demo scene.
        config: All settings; `bench.frames` is the number of frames of each.
        console: Where the tables are printed.
        quiet: Print errors only.

    Returns:
        0, or 130 after a signal.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    summary = config.report.summary
    if summary is not None:
        check_output(summary, overwrite=config.report.overwrite, inputs=videos)
    results: Results = {}
    with (
        StopSignals() as signals,
        progress_bars(quiet) as bars,
        SuperPoint(config.superpoint) as superpoint,
    ):
        for video in videos or ["demo"]:
            name = display_name(video)
            task = bars.add_task(name, total=config.bench.frames)
            with open_source(video, config.input) as source:
                results[name] = measure_real_motion(
                    islice(source, config.bench.frames),
                    superpoint,
                    make_trackers(config.tracking),
                    stopped=lambda: signals.received,
                    progress=partial(bars.advance, task),
                )
            if signals.received:
                break
        model = superpoint.info
    if summary is not None:
        write_json(summary, _to_dict(results, model, interrupted=signals.received))
    if not quiet:
        for name, rows in results.items():
            console.print(_table(name, rows))
            console.print(_there_and_back_table(name, rows))
    return INTERRUPTED if signals.received else DONE


def _to_dict(results: Results, model: ModelInfo, *, interrupted: bool) -> dict[str, Any]:
    return {
        "command": "bench --real-motion",
        **model_entries(model),
        "videos": {
            name: {tracker: asdict(found) for tracker, found in rows.items()}
            for name, rows in results.items()
        },
        "stopped_by": "signal" if interrupted else "end",
        "machine": describe_machine(),
    }


def _table(name: str, rows: dict[str, RealMotionScores]) -> Table:
    heads = ("alive after 30", "inliers 10 apart", "of tracks", "mean length", "a frame", "jitter px")
    table = figures_table(name, "tracker", heads)
    for tracker, found in rows.items():
        table.add_row(
            tracker,
            f"{found.alive:.1%}",
            f"{found.inliers:.1%}",
            f"{found.pairs:.0f}",
            f"{found.mean_length:.1f}",
            f"{found.tracks_per_frame:.0f}",
            "-" if found.jitter_px is None else f"{found.jitter_px:.3f}",
        )
    return table


def _there_and_back_table(name: str, rows: dict[str, RealMotionScores]) -> Table:
    heads = ("points", "frames there", "survived", "≤ 1 px", "≤ 3 px", "median px", "seen all the way")
    table = figures_table(f"{name}, forwards and then backwards: of all points", "tracker", heads)
    for tracker, scores in rows.items():
        found = scores.there_and_back
        if found is None:
            continue
        table.add_row(
            tracker,
            str(found.points),
            str(found.frames),
            f"{found.survived:.1%}",
            f"{found.within_1px:.1%}",
            f"{found.within_3px:.1%}",
            "-" if found.median_px is None else f"{found.median_px:.2f}",
            f"{found.unbroken:.1%}",
        )
    return table
