"""Ray: the workers on the nodes of a cluster, and what runs in them. Besides it only `cluster` knows Ray."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from realtime_kp.apps.fleet.ledger import VideoResult
from realtime_kp.apps.fleet.pieces import Found, Piece
from realtime_kp.apps.fleet.worker import Progress, VideoWorker
from realtime_kp.apps.jobs import Job
from realtime_kp.config import FleetConfig
from realtime_kp.features import ModelInfo
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter

_ANSWER_S = 2.0
_HAND_OVER_S = 60.0


class WorkerDiedError(Exception):
    """A worker or its node is gone."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster: its id and name, CPUs and GPUs."""

    id: str
    name: str
    cpus: int
    gpus: float

    def workers(self, config: FleetConfig) -> int:
        """How many workers have room on it."""
        room = self.cpus // config.cpus_per_worker
        if config.gpus_per_worker:
            room = min(room, int(self.gpus / config.gpus_per_worker + 1e-6))
        return room


class RayWorker(VideoWorker):
    """A worker in an actor: counts frames and failures in Ray's metrics, and gives keypoints to others."""

    def __init__(self, folder: str, slot: int, cores: int) -> None:
        from ray.util.metrics import Counter

        super().__init__(folder, slot, cores)
        self._frames = Counter("realtime_kp_frames", "Frames that were processed")
        self._failed = Counter("realtime_kp_failed_videos", "Videos that failed")

    def run(self, job: Job, inputs: list[str]) -> VideoResult:
        """As of any worker."""
        result = super().run(job, inputs)
        if result.outcome == "failed":
            self._failed.inc()
        return result

    def watch(self, tracked: TrackedFrame, pipeline: Pipeline, meter: RunMeter) -> None:
        """As of any worker."""
        super().watch(tracked, pipeline, meter)
        self._frames.inc()

    def help_with(self, job: Job, tracking: Any, helper: str) -> bool:
        """Find the keypoints of a piece of a video that another worker tracks; whether there was one.

        Args:
            job: The video.
            tracking: The actor of that worker.
            helper: Name of this one.
        """
        import ray

        def claim(info: ModelInfo) -> Piece | None:
            answer = tracking.claim.remote(job.source, helper, info)
            return ray.get(answer, timeout=_HAND_OVER_S)  # type: ignore[no-any-return]

        def offer(number: int, found: Sequence[Found] | None) -> bool:
            # They stay on this node until they are needed.
            kept = [] if found is None else [ray.put(found)]
            times_s = (0.0, 0.0) if found is None else (found[0].time_s, found[-1].time_s)
            answer = tracking.offer_kept.remote(job.source, helper, number, times_s, kept)
            return bool(ray.get(answer, timeout=_HAND_OVER_S))

        try:
            return self.help(job, claim, offer)
        except ray.exceptions.RayError:
            return False  # the other worker has died

    def offer_kept(
        self, source: str, helper: str, number: int, times_s: tuple[float, float], kept: list[Any]
    ) -> bool:
        """Take keypoints that a helper has found, and that lie on its node; none tell that all have come."""
        import ray

        def fetch() -> Sequence[Found]:
            try:
                return ray.get(kept[0], timeout=_HAND_OVER_S)  # type: ignore[no-any-return]
            except ray.exceptions.RayError as exc:
                raise LookupError(str(exc)) from exc

        return self.offer(source, helper, number, times_s, fetch if kept else None)


class Worker:
    """A worker on a node, and what it is at.

    Args:
        config: What a worker gets.
        node: The machine.
        slot: Its number there.

    Attributes:
        job: The video in work; None while it waits for one.
        helps: The worker whose video it finds keypoints for; None while it helps nobody.
        starting: Has a result when the worker has begun; None from then on.
        running: Has a result when the video, or the piece of another's, is done; None without one.
    """

    def __init__(self, config: FleetConfig, node: Node, slot: int) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.node = node
        self.slot = slot
        self.job: Job | None = None
        self.helps: Worker | None = None
        self.running: Any = None
        self._actor = (
            ray.remote(RayWorker)
            .options(
                num_cpus=config.cpus_per_worker,
                num_gpus=config.gpus_per_worker,
                max_restarts=0,
                max_concurrency=4,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote(os.getcwd(), slot, config.cpus_per_worker)
        )
        self.starting: Any = self._actor.progress.remote()

    @property
    def name(self) -> str:
        """Tells it from the others."""
        return f"{self.node.name} {self.node.id[:8]} {self.slot}"

    @property
    def source(self) -> str:
        """The video in work; empty without one."""
        return "" if self.job is None else self.job.name

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.job is None and self.helps is None

    def begun(self) -> bool:
        """Whether it can be given a video.

        Raises:
            WorkerDiedError: It never will: its node has gone before it began.
        """
        import ray

        if self.starting is None:
            return True
        ready, _ = ray.wait([self.starting], timeout=0)
        if not ready:
            return False
        try:
            ray.get(self.starting)
        except ray.exceptions.RayError as exc:
            raise WorkerDiedError(str(exc)) from exc
        self.starting = None
        return True

    def start(self, job: Job, inputs: list[str]) -> None:
        """Begin a video."""
        self.job = job
        self.running = self._actor.run.remote(job, inputs)

    def help(self, other: Worker) -> None:
        """Begin to find keypoints for a piece of another worker's video."""
        self.helps = other
        self.running = self._actor.help_with.remote(other.job, other._actor, self.name)

    def result(self) -> VideoResult | bool:
        """The result of the video, or whether there was a piece to help with, once it is there.

        Raises:
            WorkerDiedError: There is none, and never will be.
        """
        import ray

        try:
            return ray.get(self.running)  # type: ignore[no-any-return]
        except ray.exceptions.RayError as exc:
            reason = str(exc).strip().splitlines() or [type(exc).__name__]
            raise WorkerDiedError(
                reason[-1 if isinstance(exc, ray.exceptions.RayTaskError) else 0][:200]
            ) from exc
        finally:
            self.job = self.helps = self.running = None

    def ask_progress(self) -> Any:
        """Has what it is at as its result."""
        return self._actor.progress.remote()

    def ask_to_forget_input(self) -> Any:
        """Has a result when no copy of a video is kept there."""
        return self._actor.forget_input.remote()

    def release(self, helper: str) -> None:
        """Tell it that a helper has died."""
        self._actor.release.remote(helper)

    def discard(self) -> None:
        """Give its place free, however it has failed."""
        import ray

        ray.kill(self._actor)

    def stop(self) -> None:
        """Ask it to end what it is at."""
        self._actor.stop.remote()


def finished(workers: list[Worker], timeout_s: float) -> list[Worker]:
    """Those whose work has a result, or that have died over it.

    Waits for the first one, for a worker that begins, or for a time.
    """
    import ray

    running = {worker.running: worker for worker in workers if worker.running is not None}
    awaited = [*running, *(worker.starting for worker in workers if worker.starting is not None)]
    if not awaited:
        return []
    ready, _ = ray.wait(awaited, num_returns=1, timeout=timeout_s)
    if ready:
        ready, _ = ray.wait(awaited, num_returns=len(awaited), timeout=0)
    return [running[one] for one in ready if one in running]


def forget_inputs(workers: Sequence[Worker]) -> None:
    """Let all remove what copies of videos they keep, as far as they answer in time."""
    import ray

    asked = [worker.ask_to_forget_input() for worker in workers if worker.starting is None]
    if asked:
        ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_S)


def progress_of(workers: Sequence[Worker]) -> list[Progress]:
    """What each is at; nothing of those that do not answer in time."""
    import ray

    asked = [worker.ask_progress() for worker in workers]
    if not asked:
        return []
    ready, _ = ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_S)
    answers = []
    for one in asked:
        try:
            answers.append(ray.get(one) if one in ready else Progress())
        except ray.exceptions.RayError:
            answers.append(Progress())  # it has died, which its video tells
    return answers
