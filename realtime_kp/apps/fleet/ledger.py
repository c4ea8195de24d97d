"""What is to be done, and what became of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from realtime_kp.apps.jobs import Job

Outcome = Literal["done", "damaged", "failed", "stopped", "waiting"]


@dataclass(frozen=True, slots=True)
class VideoResult:
    """What became of one video.

    Attributes:
        source: The input.
        outcome: `done`; `damaged`, what was readable is written; `failed`; `stopped`, to be resumed;
            `waiting`, never begun.
        frames: Number of frames that were processed.
        fps: Frames per second.
        wall_s: How long it took.
        attempts: How often it was begun.
        node: Name of the machine.
        frames_by_helpers: Of how many frames other workers have found the keypoints.
        error: Why it failed, or what is damaged.
    """

    source: str
    outcome: Outcome
    frames: int = 0
    fps: float = 0.0
    wall_s: float = 0.0
    attempts: int = 0
    node: str = ""
    frames_by_helpers: int = 0
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in `fleet.json`."""
        values = asdict(self)
        values["input"] = values.pop("source")
        return values


class Ledger:
    """Which videos wait, which are in work, and what became of the others.

    Args:
        jobs: One for each video, of different sources.
        attempts: How often a video is begun, where its worker dies.
    """

    def __init__(self, jobs: Sequence[Job], attempts: int) -> None:
        self._order = [job.name for job in jobs]
        self._waiting = deque(jobs)
        self._begun: dict[str, int] = {}
        self._most = attempts
        self._results: dict[str, VideoResult] = {}
        self._crashes: dict[str, str] = {}

    @property
    def waiting(self) -> int:
        """Number of videos that wait for a worker."""
        return len(self._waiting)

    @property
    def open(self) -> bool:
        """Whether any video has no result yet."""
        return len(self._results) < len(self._order)

    @property
    def finished(self) -> int:
        """Number of videos that have a result."""
        return len(self._results)

    @property
    def frames(self) -> int:
        """Frames of all videos that have a result."""
        return sum(result.frames for result in self._results.values())

    def next(self) -> Job:
        """The next video, to be begun; one that was begun before goes on where it was."""
        job = self._waiting.popleft()
        self._begun[job.name] = self._begun.get(job.name, 0) + 1
        if self._begun[job.name] == 1:
            return job
        config = job.config
        return replace(job, config=replace(config, video=replace(config.video, resume=True)))

    def finish(self, result: VideoResult) -> None:
        """Take a result."""
        self._results[result.source] = replace(result, attempts=self._begun.get(result.source, 0))

    def crash(self, job: Job, node: str, reason: str) -> bool:
        """Take in that a worker has died over a video; returns whether it is begun again."""
        self._crashes[job.name] = reason
        if self._begun[job.name] < self._most:
            # Others first: what kills workers would else keep killing them.
            self._waiting.append(job)
            return True
        self.finish(VideoResult(job.name, "failed", node=node, error=f"its worker died: {reason}"))
        return False

    def results(self) -> list[VideoResult]:
        """Results of all videos, in the order of the inputs; `waiting` where there is none."""
        return [
            self._results.get(source)
            or VideoResult(
                source, "waiting", attempts=self._begun.get(source, 0), error=self._crashes.get(source, "")
            )
            for source in self._order
        ]
