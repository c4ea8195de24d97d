"""`video --ray`: shares videos out to workers, and tells what became of each."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bars
from rich.table import Table

from realtime_kp import __version__
from realtime_kp.apps.console import labelled_progress_bars
from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED
from realtime_kp.apps.fleet.cluster import Cluster, Worker, WorkerDiedError, check_ray, finished
from realtime_kp.apps.fleet.ledger import Ledger, VideoResult
from realtime_kp.apps.fleet.worker import probe
from realtime_kp.apps.jobs import Job
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import write_json
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError
from realtime_kp.sinks import OutputLocks
from realtime_kp.sources import SourceKind, source_kind

log = logging.getLogger(__name__)

FLEET_FILE = "fleet.json"

_WAKE_S = 0.5
_LOOK_FOR_NODES_S = 3.0
_STOP_S = 30.0
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
            raise ConfigError(f"--ray is for files that every machine sees, not for {job.source}")
    report = fleet_file(jobs)
    with OutputLocks([report]), StopSignals() as signals, Cluster(config.fleet) as cluster:
        _check_nodes(cluster, jobs, report)
        fleet = _Fleet(cluster, Ledger(jobs, config.fleet.attempts), inputs, config)
        started_s = time.perf_counter()
        with labelled_progress_bars(quiet, counts=False) as bars:
            fleet.run(signals, bars)
        results, wall_s = fleet.ledger.results(), time.perf_counter() - started_s
        write_json(report, _report(results, wall_s, fleet.most_workers))
    if not quiet:
        _print(console, results, wall_s, report)
    if signals.received:
        return INTERRUPTED
    return DONE if all(result.outcome == "done" for result in results) else DAMAGED


def fleet_file(jobs: Sequence[Job]) -> Path:
    """Where the report of a run goes: into the folder of the first output."""
    first = next((path for job in jobs for path in job.outputs), None)
    if first is None:
        raise ConfigError("--ray writes nothing here: name outputs with -o FOLDER or --tracks")
    return first.parent / FLEET_FILE


class _Fleet:
    """Keeps as many workers busy as the cluster has room for."""

    def __init__(self, cluster: Cluster, ledger: Ledger, inputs: list[str], config: AppConfig) -> None:
        self.ledger = ledger
        self.most_workers = 0
        self._cluster = cluster
        self._inputs = inputs
        self._config = config.fleet
        self._workers: list[Worker] = []
        self._looked_at_s = -_LOOK_FOR_NODES_S
        self._stop_at_s: float | None = None

    def run(self, signals: StopSignals, bars: Bars) -> None:
        """Process all videos, or as many as are done before a signal."""
        display = _Display(bars, self.ledger)
        while self.ledger.open:
            if signals.received and self._stops():
                return
            if self._stop_at_s is None:
                self._hire()
                self._share_out()
            for worker in finished(self._workers, _WAKE_S):
                self._take(worker)
            if not any(worker.running is not None for worker in self._workers):
                if self._stop_at_s is not None:
                    return
                time.sleep(_WAKE_S)  # no node has room: another may come
            display.show(self._workers)

    def _hire(self) -> None:
        """Start workers where there is room and work, on nodes that came later too."""
        now_s = time.perf_counter()
        if now_s - self._looked_at_s < _LOOK_FOR_NODES_S:
            return
        self._looked_at_s = now_s
        idle = sum(worker.job is None for worker in self._workers)
        wanted = self.ledger.waiting - idle
        for node in self._cluster.nodes():
            taken = {worker.slot for worker in self._workers if worker.node.id == node.id}
            for slot in range(node.workers(self._config)):
                if slot not in taken and wanted > 0:
                    self._workers.append(self._cluster.worker(node, slot))
                    wanted -= 1
        self.most_workers = max(self.most_workers, len(self._workers))

    def _share_out(self) -> None:
        for worker in self._workers:
            if worker.job is None and self.ledger.waiting:
                worker.start(self.ledger.next(), self._inputs)

    def _take(self, worker: Worker) -> None:
        job = worker.job
        assert job is not None
        try:
            result = worker.result()
        except WorkerDiedError as exc:
            self._workers.remove(worker)
            again = self.ledger.crash(job, worker.node.name, str(exc))
            log.warning("%s: its worker died%s", job.source, "; it is begun again" if again else "")
            return
        self.ledger.finish(result)
        if result.error:
            log.warning("%s: %s", result.source, result.error)

    def _stops(self) -> bool:
        """Ask all workers to end, once; whether the time for it is over."""
        now_s = time.perf_counter()
        if self._stop_at_s is None:
            self._stop_at_s = now_s + _STOP_S
            for worker in self._workers:
                worker.stop()
        return now_s > self._stop_at_s


class _Display:
    """One bar for all, and a line for each worker."""

    def __init__(self, bars: Bars, ledger: Ledger) -> None:
        self._bars = bars
        self._ledger = ledger
        self._total = len(ledger.results())
        self._all = bars.add_task("videos", total=self._total, shown="")
        self._lines: dict[Worker, object] = {}
        self._started_s = time.perf_counter()

    def show(self, workers: Sequence[Worker]) -> None:
        frames = self._ledger.frames
        for worker in set(self._lines) - set(workers):
            self._bars.remove_task(self._lines.pop(worker))  # type: ignore[arg-type]
        for worker in workers:
            at = worker.progress()
            frames += at.frames
            if worker not in self._lines:
                self._lines[worker] = self._bars.add_task("", total=None, shown="")
            name = f"{worker.node.name} {worker.slot}"
            shown = f"{Path(at.source).name} {at.frames} of {at.total or '?'}" if at.source else "waits"
            line = self._lines[worker]
            self._bars.update(line, description=name, completed=at.frames, total=at.total, shown=shown)  # type: ignore[arg-type]
        rate = frames / max(1e-9, time.perf_counter() - self._started_s)
        text = f"{self._ledger.finished} of {self._total} videos, {rate:.1f} frames/s"
        self._bars.update(self._all, completed=self._ledger.finished, shown=text)


def _check_nodes(cluster: Cluster, jobs: Sequence[Job], report: Path) -> None:
    """Check that every node sees what it needs, before any work."""
    needed = [job.source for job in jobs if source_kind(job.source) not in _ANYWHERE]
    with tempfile.NamedTemporaryFile(dir=report.parent, prefix=".fleet_probe_") as token:
        answers = cluster.ask(probe, os.getcwd(), needed, os.path.abspath(token.name), __version__)
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


def _print(console: Console, results: Sequence[VideoResult], wall_s: float, report: Path) -> None:
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
