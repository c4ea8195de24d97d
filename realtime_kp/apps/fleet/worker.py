"""A worker: processes one video after another, with the network loaded once."""

from __future__ import annotations

import os
import platform
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import realtime_kp
from realtime_kp.apps.fleet.ledger import VideoResult
from realtime_kp.apps.jobs import Job
from realtime_kp.apps.video.process import Processed, process
from realtime_kp.errors import RealtimeKpError
from realtime_kp.features import KeptExtractor
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.machine import usable_cores
from realtime_kp.pipeline import Pipeline, RunMeter, make_extractor
from realtime_kp.sinks import OutputLocks


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker is at: the input, frames of it so far, and all of them where known."""

    source: str = ""
    frames: int = 0
    total: int | None = None


class VideoWorker:
    """Processes videos. `stop` and `progress` may be called while `run` is at work.

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

    def run(self, job: Job, inputs: list[str]) -> VideoResult:
        """Process a video; what is wrong with it is in the result."""
        started_s = time.perf_counter()
        self._progress = Progress(job.source)
        if self._superpoint is None:
            self._superpoint = KeptExtractor(make_extractor(job.config.superpoint))
        try:
            with OutputLocks(job.outputs):
                done = process(
                    job, inputs, stopped=self._stopped.is_set, watch=self.watch, superpoint=self._superpoint
                )
            result = _result(job.source, done, stopped=self._stopped.is_set())
        except RealtimeKpError as exc:
            result = VideoResult(job.source, "failed", self._progress.frames, error=str(exc))
        self._progress = Progress()
        wall_s = time.perf_counter() - started_s
        return replace(
            result, wall_s=round(wall_s, 3), fps=round(result.frames / wall_s, 2), node=platform.node()
        )

    def progress(self) -> Progress:
        """What it is at."""
        return self._progress

    def stop(self) -> None:
        """End the video in work; what is finished is kept, to be resumed."""
        self._stopped.set()

    def watch(self, tracked: TrackedFrame, pipeline: Pipeline, meter: RunMeter) -> None:
        """Take in that a frame is done."""
        info = pipeline.source_info
        total = None if info is None else info.frame_count
        self._progress = Progress(self._progress.source, tracked.frame.index + 1, total)


def probe(folder: str, inputs: list[str], token: str, version: str) -> str:
    """What this node lacks; empty where it has all.

    Args:
        folder: The working folder of the command.
        inputs: Files and folders that have to be here.
        token: A file in the folder of the outputs, which has to be here as well.
        version: Version of this package.
    """
    if realtime_kp.__version__ != version:
        return f"has realtime-kp {realtime_kp.__version__}, not {version}"
    if not os.path.isdir(folder):
        return f"does not see the working folder {folder}"
    missing = [name for name in inputs if not os.path.exists(os.path.join(folder, name))]
    if missing:
        return f"does not see {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
    if not os.path.exists(os.path.join(folder, token)):
        return f"does not see the outputs' folder {os.path.dirname(token) or folder}: it has to be shared"
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
