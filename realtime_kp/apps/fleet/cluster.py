"""Ray: the cluster, its nodes, and the workers on them. Nothing else here knows of Ray."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from realtime_kp.apps.fleet.ledger import VideoResult
from realtime_kp.apps.fleet.worker import Progress, VideoWorker
from realtime_kp.apps.jobs import Job
from realtime_kp.config import FleetConfig
from realtime_kp.errors import ConfigError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.machine import usable_cores
from realtime_kp.pipeline import Pipeline, RunMeter

_CONNECT_S = 5.0
_PROBE_S = 60.0
_ANSWER_S = 2.0


def check_ray() -> None:
    """Check before any work that Ray is there.

    Raises:
        ConfigError: It is missing.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--ray needs Ray: pip install 'realtime-kp[ray]'")


class MeasuredWorker(VideoWorker):
    """A worker that counts in Ray's metrics: frames, and videos that failed."""

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


class Cluster:
    """A connection to a cluster; `local` starts one on this machine that ends with it.

    Args:
        config: The address, and what a worker gets.
    """

    def __init__(self, config: FleetConfig) -> None:
        self._config = config

    def __enter__(self) -> Self:
        import ray

        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        address = self._config.ray or "local"
        if address not in ("local", "auto"):
            _check_answers(address)
        options: dict[str, Any] = {} if address == "local" else {"address": address}
        if address == "local":
            options = {"num_cpus": len(usable_cores()), "include_dashboard": False}
            options["_node_name"] = socket.gethostname()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as exc:
            reason = " ".join(str(exc).split())[:200]
            raise ConfigError(
                f"no Ray cluster answers at {address} ({reason}): start one with `ray start`"
            ) from exc
        # Ray has replaced them by its own.
        for number, handler in handlers.items():
            signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        ray.shutdown()

    def nodes(self) -> list[Node]:
        """The machines that are there now."""
        import ray

        return [
            Node(
                node["NodeID"],
                node["NodeManagerHostname"],
                int(node["Resources"].get("CPU", 0)),
                float(node["Resources"].get("GPU", 0)),
            )
            for node in ray.nodes()
            if node["Alive"]
        ]

    def ask(self, question: Callable[..., str], *arguments: object) -> Mapping[str, str]:
        """Ask every node; answers by its name and id.

        Raises:
            ConfigError: A node does not answer.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = ray.remote(num_cpus=0)(question)
        asked = {
            f"{node.name} ({node.id[:8]})": remote.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
            ).remote(*arguments)
            for node in self.nodes()
        }
        answers = {}
        for name, answer in asked.items():
            try:
                answers[name] = ray.get(answer, timeout=_PROBE_S)
            except (ray.exceptions.RayError, ImportError) as exc:
                reason = " ".join(str(exc).split())[-200:]
                raise ConfigError(f"node {name} cannot run realtime-kp: {reason}") from exc
        return answers

    def worker(self, node: Node, slot: int) -> Worker:
        """Start a worker on a node."""
        return Worker(self._config, node, slot)


class Worker:
    """A worker on a node, and the video that it is at.

    Args:
        config: What a worker gets.
        node: The machine.
        slot: Its number there.

    Attributes:
        job: The video in work; None while it waits for one.
        starting: Has a result when the worker has begun; None from then on.
        running: Has a result when the video is done; None without one.
    """

    def __init__(self, config: FleetConfig, node: Node, slot: int) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.node = node
        self.slot = slot
        self.job: Job | None = None
        self.running: Any = None
        self._actor = (
            ray.remote(MeasuredWorker)
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

    def result(self) -> VideoResult:
        """The result of the video, once it is there.

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
            self.job = self.running = None

    def ask_progress(self) -> Any:
        """Has what it is at as its result."""
        return self._actor.progress.remote()

    def stop(self) -> None:
        """Ask it to end its video."""
        self._actor.stop.remote()


def finished(workers: list[Worker], timeout_s: float) -> list[Worker]:
    """Those whose videos have a result, or that have died over them.

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


def _check_answers(address: str) -> None:
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=_CONNECT_S):
            pass
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"nothing answers at {address} ({exc}): start a cluster with `ray start --head`"
        ) from exc
