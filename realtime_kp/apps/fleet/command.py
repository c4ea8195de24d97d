"""`video --ray`: shares videos out to workers, and tells what became of each."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from realtime_kp import __version__
from realtime_kp.apps.console import labelled_progress_bars
from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED
from realtime_kp.apps.fleet.cluster import Cluster, check_ray
from realtime_kp.apps.fleet.fleet import Fleet
from realtime_kp.apps.fleet.ledger import Ledger, VideoResult
from realtime_kp.apps.fleet.worker import probe
from realtime_kp.apps.jobs import Job
from realtime_kp.apps.remote.addresses import is_remote
from realtime_kp.apps.remote.mirror import put_file, remote_outputs
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import write_json
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError
from realtime_kp.sinks import OutputLocks
from realtime_kp.sources import SourceKind, source_kind

FLEET_FILE = "fleet.json"

# What every machine can make or fetch by itself.
_ANYWHERE = (SourceKind.DEMO, SourceKind.STREAM, SourceKind.GLOB)
_ONLY_HERE = (SourceKind.CAMERA, SourceKind.PIPE, SourceKind.BROWSER)


def run_fleet(
    jobs: Sequence[Job], inputs: list[str], config: AppConfig, console: Console, *, quiet: bool = False
) -> int:
    """Process videos on the workers of a Ray cluster, each video on one of them.

    Args:
        jobs: The videos, whose outputs were checked.
        inputs: All inputs.
        config: All settings.
        console: Where the table of results is printed.
        quiet: Print nothing but errors.

    Returns:
        0; 6 where a video is damaged or failed; 130 after a signal.

    Raises:
        ConfigError: Ray is missing or does not answer, or a node does not see the inputs or the outputs.
        SinkError: Another run writes into the same folder.
    """
    check_ray()
    for job in jobs:
        if job.parts or source_kind(job.source) in _ONLY_HERE:
            raise ConfigError(f"--ray is for files that every machine sees, not for {job.name}")
    report, copies = fleet_file(jobs), jobs[0].copies
    with OutputLocks([report]), StopSignals() as signals, Cluster(config.fleet) as cluster:
        _check_nodes(cluster, jobs, report)
        ledger = Ledger(jobs, config.fleet.attempts)
        fleet = Fleet(cluster, config.fleet, inputs)
        started_s = time.perf_counter()
        with labelled_progress_bars(quiet, counts=False) as bars:
            fleet.run(ledger, signals, bars)
        results, wall_s = ledger.results(), time.perf_counter() - started_s
        write_json(report, _report(results, wall_s, fleet.most_workers))
        place = put_file(report, copies)
    if not quiet:
        _print(console, results, wall_s, place)
    if signals.received:
        return INTERRUPTED
    return DONE if all(result.outcome == "done" for result in results) else DAMAGED


def fleet_file(jobs: Sequence[Job]) -> Path:
    """Where the report of a run goes: into the folder of the first output."""
    first = next((path for job in jobs for path in job.outputs), None)
    if first is None:
        raise ConfigError("--ray writes nothing here: name outputs with -o FOLDER or --tracks")
    return first.parent / FLEET_FILE


def _check_nodes(cluster: Cluster, jobs: Sequence[Job], report: Path) -> None:
    """Check that every node sees what it needs, before any work."""
    needed = [job.name for job in jobs if source_kind(job.source) not in _ANYWHERE]
    files = [name for name in needed if not is_remote(name)]
    stored = [name for job in jobs for name in remote_outputs(job)]
    addresses = [name for name in needed if is_remote(name)][:1] + stored[:1]
    with tempfile.NamedTemporaryFile(dir=report.parent, prefix=".fleet_probe_") as file:
        token = None if stored else os.path.abspath(file.name)
        answers = cluster.ask(probe, os.getcwd(), files, addresses, token, __version__)
    for node, problem in answers.items():
        if problem:
            raise ConfigError(f"node {node} {problem}")


def _report(results: Sequence[VideoResult], wall_s: float, workers: int) -> dict[str, object]:
    frames = sum(result.frames for result in results)
    return {
        "command": "video --ray",
        "workers": workers,
        "wall_s": round(wall_s, 3),
        "frames": frames,
        "fps": round(frames / max(1e-9, wall_s), 2),
        "inputs": [result.to_dict() for result in results],
    }


def _print(console: Console, results: Sequence[VideoResult], wall_s: float, report: str) -> None:
    table = Table("input", "outcome", "frames", "FPS", "attempts", "node", "error")
    for result in results:
        cells = (result.outcome, str(result.frames), f"{result.fps:.1f}", str(result.attempts), result.node)
        table.add_row(result.source, *cells, result.error)
    console.print(table)
    frames = sum(result.frames for result in results)
    done = sum(result.outcome == "done" for result in results)
    console.print(
        f"{done} of {len(results)} videos done, {frames} frames in {wall_s:.1f} s, "
        f"{frames / max(1e-9, wall_s):.1f} frames/s; {report}",
        highlight=False,
    )
