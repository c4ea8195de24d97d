"""The driver: hires workers, shares videos out, takes results, and begins again what died with its worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from rich.progress import Progress as Bars
from rich.progress import TaskID

from realtime_kp.apps.fleet.cluster import Cluster
from realtime_kp.apps.fleet.ledger import Ledger, VideoResult
from realtime_kp.apps.fleet.worker import Progress
from realtime_kp.apps.fleet.workers import Worker, WorkerDiedError, finished, forget_inputs, progress_of
from realtime_kp.apps.signals import StopSignals
from realtime_kp.config import FleetConfig

log = logging.getLogger(__name__)

_WAKE_S = 0.5
_LOOK_FOR_NODES_S = 3.0
_STOP_S = 30.0


class Fleet:
    """Keeps as many workers busy as the cluster has room for.

    Args:
        cluster: Where they run.
        config: What a worker gets, and how many there may be.
        inputs: All inputs of the run, none of which may be replaced.

    Attributes:
        most_workers: The largest number of workers so far.
    """

    def __init__(self, cluster: Cluster, config: FleetConfig, inputs: list[str]) -> None:
        self.most_workers = 0
        self._cluster = cluster
        self._config = config
        self._inputs = inputs
        self._workers: list[Worker] = []
        self._at: dict[Worker, Progress] = {}
        self._without_piece: set[Worker] = set()
        self._asked_at_s = -_WAKE_S
        self._looked_at_s = -_LOOK_FOR_NODES_S
        self._stop_at_s: float | None = None

    def run(self, ledger: Ledger, signals: StopSignals, bars: Bars) -> None:
        """Process all videos, or as many as are done before a signal; workers stay for a further run."""
        try:
            self._run(ledger, signals, bars)
        finally:
            forget_inputs(self._workers)

    def _run(self, ledger: Ledger, signals: StopSignals, bars: Bars) -> None:
        display = None if bars.disable else _Display(bars, ledger)
        while ledger.open:
            if signals.received and self._stops():
                return
            if self._stop_at_s is not None and not any(
                worker.running is not None for worker in self._workers
            ):
                return
            if self._stop_at_s is None:
                self._hire(ledger)
                self._share_out(ledger)
                self._share_pieces()
            if not any(worker.running is not None or worker.starting is not None for worker in self._workers):
                time.sleep(_WAKE_S)  # no node has room, and Ray does not tell when one comes
            for worker in finished(self._workers, _WAKE_S):
                self._take(worker, ledger)
            if self._asks(display is not None, ledger) and display is not None:
                display.show(self._at)

    def _hire(self, ledger: Ledger) -> None:
        """Start workers where there is room and work, on nodes that came later too."""
        now_s = time.perf_counter()
        if now_s - self._looked_at_s < _LOOK_FOR_NODES_S:
            return
        self._looked_at_s = now_s
        pieces = sum(at.pieces for at in self._at.values())
        wanted = ledger.waiting + pieces - sum(worker.idle for worker in self._workers)
        if self._config.workers is not None:
            wanted = min(wanted, self._config.workers - len(self._workers))
        for node in self._cluster.nodes():
            taken = {worker.slot for worker in self._workers if worker.node.id == node.id}
            for slot in range(node.workers(self._config)):
                if slot not in taken and wanted > 0:
                    self._workers.append(self._cluster.worker(node, slot))
                    wanted -= 1
        self.most_workers = max(self.most_workers, len(self._workers))

    def _share_out(self, ledger: Ledger) -> None:
        for worker in list(self._workers):
            try:
                free = worker.begun() and worker.idle
            except WorkerDiedError:
                self._workers.remove(worker)  # a video that it never got is not begun in vain
                continue
            if free and ledger.waiting:
                worker.start(ledger.next(), self._inputs)

    def _share_pieces(self) -> None:
        """Let idle workers help those whose videos have pieces that nobody has taken."""
        tracking = [worker for worker in self._workers if worker.job is not None]
        tracking = [worker for worker in tracking if worker in self._at and self._at[worker].pieces]
        for worker in self._workers:
            if tracking and worker.idle and worker.starting is None and worker not in self._without_piece:
                worker.help(max(tracking, key=self._pieces_a_helper))

    def _pieces_a_helper(self, tracking: Worker) -> float:
        return self._at[tracking].pieces / (1 + sum(worker.helps is tracking for worker in self._workers))

    def _asks(self, shown: bool, ledger: Ledger) -> bool:
        """Ask all workers what they are at, twice a second at most, and at the end; whether it did."""
        now_s = time.perf_counter()
        needed = shown or self._config.chunk_minutes is not None
        if not needed or (ledger.open and now_s - self._asked_at_s < _WAKE_S):
            return False
        self._asked_at_s = now_s
        self._at = dict(zip(self._workers, progress_of(self._workers), strict=True))
        self._without_piece.clear()
        return True

    def _take(self, worker: Worker, ledger: Ledger) -> None:
        job, helped = worker.job, worker.helps
        try:
            result = worker.result()
        except WorkerDiedError as exc:
            self._workers.remove(worker)
            worker.discard()
            if helped is not None:
                helped.release(worker.name)
                if helped.source:  # else its video has ended meanwhile
                    log.warning("%s: a worker that helped with it died: %s", helped.source, exc)
            if job is None:
                return
            again = ledger.crash(job, worker.node.name, str(exc))
            log.warning("%s: its worker died%s", job.name, "; it is begun again" if again else "")
            return
        if not isinstance(result, VideoResult):
            if not result:
                self._without_piece.add(worker)
            return
        ledger.finish(result)
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
        self._lines: dict[Worker, TaskID] = {}
        self._started_s = time.perf_counter()

    def show(self, workers: Mapping[Worker, Progress]) -> None:
        """Show what is done, and what each worker is at."""
        frames = self._ledger.frames
        for worker in set(self._lines) - set(workers):
            self._bars.remove_task(self._lines.pop(worker))
        for worker, at in workers.items():
            frames += 0 if at.helps else at.frames
            if worker not in self._lines:
                self._lines[worker] = self._bars.add_task("", total=None, shown="")
            name = f"{worker.node.name} {worker.slot}"
            shown = f"{Path(at.source).name}: {at.frames} of {at.total or '?'}" if at.source else "waits"
            line = self._lines[worker]
            self._bars.update(line, description=name, completed=at.frames, total=at.total, shown=shown)
        rate = frames / max(1e-9, time.perf_counter() - self._started_s)
        text = f"{self._ledger.finished} of {self._total} videos, {rate:.1f} frames/s"
        self._bars.update(self._all, completed=self._ledger.finished, shown=text)
