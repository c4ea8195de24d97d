"""How videos are shared out to workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, require


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """Many videos on several cores or machines, by Ray."""

    ray: Annotated[str | None, Parameter(name=["--ray", "ray"])] = None
    """Share the inputs out to workers: local (this machine), auto (the cluster here), or HOST:PORT."""

    workers: Annotated[int | None, Parameter(name=["--workers", "workers"])] = None
    """Most workers; null takes as many as there is room for."""

    cpus_per_worker: Annotated[int, Parameter(name=["--cpus-per-worker", "cpus-per-worker"])] = 1
    """CPU cores of each worker, which processes one video at a time."""

    gpus_per_worker: Annotated[float, Parameter(name=["--gpus-per-worker", "gpus-per-worker"])] = 0.0
    """GPUs of each worker; 0.25 lets four share one."""

    chunk_minutes: Annotated[float | None, Parameter(name=["--chunk-minutes", "chunk-minutes"])] = None
    """Cut long videos: idle workers find keypoints of so many minutes ahead of the one that tracks."""

    scratch: Annotated[Path | None, Parameter(name=["--scratch", "scratch"])] = None
    """Local folder for copies of what is in an object store; null takes that for temporary files."""

    attempts: Annotated[int, Parameter(name=["--attempts", "attempts"])] = 3
    """How often a video is begun where its worker dies; then it counts as failed."""

    def __post_init__(self) -> None:
        check_types(self)
        known = self.ray is None or self.ray in ("local", "auto") or ":" in self.ray
        require(known, "ray must be local, auto or HOST:PORT", self.ray)
        require(self.workers is None or self.workers >= 1, "workers must be at least 1", self.workers)
        require(1 <= self.cpus_per_worker <= 1024, "cpus_per_worker must be 1 to 1024", self.cpus_per_worker)
        require(0 <= self.gpus_per_worker <= 64, "gpus_per_worker must be from 0 to 64", self.gpus_per_worker)
        possible = self.chunk_minutes is None or 1 / 60 <= self.chunk_minutes <= 1e4
        require(possible, "chunk_minutes must be from 1/60 (a second) to 10000", self.chunk_minutes)
        require(1 <= self.attempts <= 100, "attempts must be 1 to 100", self.attempts)
