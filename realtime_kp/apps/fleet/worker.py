"""A worker: processes one video after another, with the network loaded once."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import realtime_kp
from realtime_kp.apps.fleet.helping import find_keypoints, may_be_cut
from realtime_kp.apps.fleet.ledger import VideoResult
from realtime_kp.apps.fleet.pieces import Fetch, Found, Piece, Pieces
from realtime_kp.apps.jobs import Job
from realtime_kp.apps.remote import store
from realtime_kp.apps.remote.mirror import with_input
from realtime_kp.apps.video.process import Processed, process
from realtime_kp.errors import RealtimeKpError
from realtime_kp.features import KeptExtractor, ModelInfo
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.machine import usable_cores
from realtime_kp.pipeline import Pipeline, RunMeter, make_extractor
from realtime_kp.sinks import OutputLocks

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker is at.

    Attributes:
        source: The input; empty while it waits for one.
        frames: Frames of it so far.
        total: All of them, where known.
        helps: Whether it finds keypoints for another worker.
        pieces: How many pieces of its video others might take.
    """

    source: str = ""
    frames: int = 0
    total: int | None = None
    helps: bool = False
    pieces: int = 0


class VideoWorker:
    """Processes videos, or finds keypoints for others. All else may be called while that is at work.

    Args:
        folder: The working folder of the command, in which relative names are looked for.
        slot: Number of this worker on its machine.
        cores: How many cores it may use; workers on one machine then do not fight for them.
    """

    def __init__(self, folder: str, slot: int, cores: int) -> None:
        os.chdir(folder)
        _keep_to(_share(slot, cores))
        self._stopped = threading.Event()
        self._progress = Progress()
        self._superpoint: KeptExtractor | None = None
        self._pieces: Pieces | None = None
        self._most_frames: int | None = None
        self._helped: tuple[str, Job] | None = None
        self._copies = ExitStack()

    def run(self, job: Job, inputs: list[str]) -> VideoResult:
        """Process a video; what is wrong with it is in the result."""
        started_s = time.perf_counter()
        self.forget_input()
        self._progress = Progress(job.source)
        self._most_frames = job.config.video.max_frames
        minutes = job.config.fleet.chunk_minutes
        pieces = Pieces(minutes * 60, self._stopped.is_set) if minutes and may_be_cut(job) else None
        self._pieces = pieces
        try:
            with OutputLocks(job.outputs):
                done = process(
                    job,
                    inputs,
                    stopped=self._stopped.is_set,
                    watch=self.watch,
                    superpoint=self._network(job),
                    found_elsewhere=None if pieces is None else pieces.found,
                )
            result = _result(job.name, done, stopped=self._stopped.is_set())
        except RealtimeKpError as exc:
            result = VideoResult(job.name, "failed", self._progress.frames, error=str(exc))
        self._progress, self._pieces = Progress(), None
        wall_s = time.perf_counter() - started_s
        return replace(
            result,
            wall_s=round(wall_s, 3),
            fps=round(result.frames / wall_s, 2),
            node=platform.node(),
            frames_by_helpers=0 if pieces is None else pieces.found_elsewhere,
        )

    def help(
        self,
        job: Job,
        claim: Callable[[ModelInfo], Piece | None],
        offer: Callable[[int, Sequence[Found] | None], bool],
    ) -> bool:
        """Find the keypoints of a piece of a video that another worker tracks.

        Args:
            job: The video.
            claim: Asks the other worker for a piece.
            offer: Gives it what was found in a piece; None where that is all.

        Returns:
            Whether there was a piece.
        """
        with self._network(job) as superpoint:
            piece = claim(superpoint.info)
            if piece is None:
                return False
            minutes = f"minutes {piece.start_s / 60:g} to {piece.end_s / 60:g}"
            self._progress = Progress(f"{job.name}, {minutes}", helps=True)

            def give(found: Sequence[Found]) -> bool:
                self._progress = replace(self._progress, frames=self._progress.frames + len(found))
                return offer(piece.number, found)

            try:
                find_keypoints(self._kept_input(job), piece, superpoint, self._stopped.is_set, give)
            except RealtimeKpError as exc:
                log.warning("%s: keypoints of %s could not be found: %s", job.name, minutes, exc)
            finally:
                self._progress = Progress()
                offer(piece.number, None)
        return True

    def claim(self, source: str, helper: str, info: ModelInfo) -> Piece | None:
        """Give a helper a piece of the video in work; None where it can do nothing now.

        Args:
            source: The video that it means.
            helper: Its name.
            info: Its network: another one would find other keypoints.
        """
        pieces = self._pieces
        if pieces is None or source != self._progress.source or not pieces.open:
            return None
        # With the first frame, from which on pieces are open, the network is there.
        assert self._superpoint is not None
        return pieces.claim(helper) if info == self._superpoint.info else None

    def offer(
        self, source: str, helper: str, number: int, times_s: tuple[float, float], fetch: Fetch | None
    ) -> bool:
        """Take keypoints that a helper has found in a piece; see `Pieces.offer`."""
        pieces = self._pieces
        if pieces is None or source != self._progress.source:
            return False
        return pieces.offer(helper, number, *times_s, fetch)

    def release(self, helper: str) -> None:
        """Take in that a helper has died."""
        pieces = self._pieces
        if pieces is not None:
            pieces.release(helper)

    def forget_input(self) -> None:
        """Remove the copy of the video that it has helped with, where there is one."""
        self._helped = None
        self._copies.close()

    def progress(self) -> Progress:
        """What it is at."""
        pieces = self._pieces
        return self._progress if pieces is None else replace(self._progress, pieces=pieces.open)

    def stop(self) -> None:
        """End the video in work; what is finished is kept, to be resumed."""
        self._stopped.set()

    def watch(self, tracked: TrackedFrame, pipeline: Pipeline, meter: RunMeter) -> None:
        """Take in that a frame is done."""
        info = pipeline.source_info
        counts = (None if info is None else info.frame_count, self._most_frames)
        total = min((count for count in counts if count is not None), default=None)
        self._progress = Progress(self._progress.source, tracked.frame.index + 1, total)
        if self._pieces is not None and info is not None and info.fps and total is not None:
            self._pieces.set_end(tracked.frame.time_s + (total - tracked.frame.index) / info.fps)

    def _kept_input(self, job: Job) -> Job:
        """The job with a copy of its input, which stays for further pieces of the same video."""
        if self._helped is None or self._helped[0] != job.source:
            self.forget_input()
            self._helped = (job.source, self._copies.enter_context(with_input(job)))
        return self._helped[1]

    def _network(self, job: Job) -> KeptExtractor:
        if self._superpoint is None:
            self._superpoint = KeptExtractor(make_extractor(job.config.superpoint))
        return self._superpoint


def probe(folder: str, inputs: list[str], addresses: list[str], token: str | None, version: str) -> str:
    """What this node lacks; empty where it has all.

    Args:
        folder: The working folder of the command.
        inputs: Files and folders that have to be here.
        addresses: Files in object stores that have to answer.
        token: A file in the folder of the outputs, which has to be here as well; None where that is in a
            store.
        version: Version of this package.
    """
    if realtime_kp.__version__ != version:
        return f"has realtime-kp {realtime_kp.__version__}, not {version}"
    if not os.path.isdir(folder):
        return f"does not see the working folder {folder}"
    missing = [name for name in inputs if not os.path.exists(os.path.join(folder, name))]
    if missing:
        return f"does not see {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
    if token is not None and not os.path.exists(os.path.join(folder, token)):
        return f"does not see the outputs' folder {os.path.dirname(token) or folder}: it has to be shared"
    try:
        store.present(addresses)
    except RealtimeKpError as exc:
        return str(exc)
    return ""


def _share(slot: int, cores: int) -> frozenset[int]:
    """Cores of a worker, in turn around the machine."""
    own = usable_cores()
    return frozenset(own[(slot * cores + number) % len(own)] for number in range(min(cores, len(own))))


def _keep_to(cores: frozenset[int]) -> None:
    """Let this process run on some cores only: its threads, and those that libraries will start."""
    tasks = Path("/proc/self/task")
    if not hasattr(os, "sched_setaffinity") or not tasks.is_dir():
        return
    for task in tasks.iterdir():
        with suppress(OSError):  # one that has ended meanwhile
            os.sched_setaffinity(int(task.name), cores)


def _result(source: str, done: Processed, *, stopped: bool) -> VideoResult:
    frames = 0 if done.summary is None else int(done.summary.values["frames"]["processed"])
    if done.lost is not None:
        return VideoResult(source, "failed", frames, error=str(done.lost))
    if done.summary is not None and stopped and done.summary.values["stopped_by"] == "signal":
        return VideoResult(source, "stopped", frames)
    return VideoResult(source, "damaged" if done.damage else "done", frames, error=done.damage or "")
