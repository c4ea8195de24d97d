"""Throughput against the number of workers."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bars
from rich.table import Table

from realtime_kp.apps.fleet.cluster import Cluster
from realtime_kp.apps.fleet.fleet import Fleet
from realtime_kp.apps.fleet.ledger import Ledger
from realtime_kp.apps.jobs import Job, plan_jobs
from realtime_kp.apps.signals import StopSignals
from realtime_kp.config import AppConfig, FleetConfig, OutputConfig, ReportConfig, VideoConfig
from realtime_kp.errors import ConfigError
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.machine import usable_cores
from realtime_kp.sinks import VideoFileSink
from realtime_kp.sources import SourceKind, open_source, source_kind

_VIDEOS_A_WORKER = 3


@dataclass(frozen=True, slots=True)
class FleetRate:
    """Throughput of so many workers, with a core each.

    Attributes:
        workers: Number of workers.
        fps: Frames per second of all together, their networks loaded.
        start_s: Seconds until the first video of each was done.
        overhead_s: Seconds a video took beside its processing: its hand-over, and its result.
    """

    workers: int
    fps: float
    start_s: float
    overhead_s: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "workers": self.workers,
            "fps": round(self.fps, 2),
            "start_s": round(self.start_s, 2),
            "overhead_s": round(self.overhead_s, 3),
        }


def measure_fleet(source: str, config: AppConfig, signals: StopSignals) -> list[FleetRate]:
    """Process copies of a video on one worker, on two, and so on up to the cores of this machine.

    Args:
        source: A video file, or `demo`, of which `bench.frames` frames are taken.
        config: All settings.
        signals: Ends the measurement early.

    Raises:
        ConfigError: The source is neither, or Ray is missing.
    """
    if source_kind(source) not in (SourceKind.VIDEO, SourceKind.DEMO):
        raise ConfigError(f"bench --ray measures a video file or demo, not {source}")
    rates = []
    cores = len(usable_cores())
    with tempfile.TemporaryDirectory(prefix="realtime_kp_bench_") as folder:
        clip = _clip(source, config, Path(folder))
        counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= cores]
        for count in counts:
            if signals.received:
                break
            rates.append(_measure(clip, config, Path(folder) / str(count), count, signals))
    return rates


def print_fleet(console: Console, rates: list[FleetRate]) -> None:
    """Print the throughput of each number of workers, and what it is to that of one."""
    table = Table("workers", "frames/s", "to one", "start, s", "overhead a video, s")
    for rate in rates:
        cells = (
            f"{rate.fps:.1f}",
            f"{rate.fps / rates[0].fps:.2f}",
            f"{rate.start_s:.1f}",
            f"{rate.overhead_s:.2f}",
        )
        table.add_row(str(rate.workers), *cells)
    console.print(table)


def _clip(source: str, config: AppConfig, folder: Path) -> Path:
    if source_kind(source) is SourceKind.VIDEO:
        return Path(source).absolute()
    path = folder / "clip.mp4"
    opened = open_source(source, config.input, demo_frames=config.bench.frames)
    with opened, VideoFileSink(path) as sink:
        for frame in opened:
            sink.write(frame.image_bgr, TrackedFrame(frame, None, Tracks.empty()))
    return path


def _measure(clip: Path, config: AppConfig, folder: Path, count: int, signals: StopSignals) -> FleetRate:
    # One core each, so that workers are what is compared.
    fleet_config = FleetConfig(ray="local", workers=count)
    started_s = time.perf_counter()
    with Cluster(fleet_config) as cluster, Bars(disable=True) as bars:
        warm = _jobs(clip, config, folder / "warm", count)
        fleet = Fleet(cluster, fleet_config, [job.source for job in warm])
        fleet.run(Ledger(warm, 1), signals, bars)
        warmed_s = time.perf_counter()
        jobs = _jobs(clip, config, folder / "measured", _VIDEOS_A_WORKER * count)
        ledger = Ledger(jobs, 1)
        fleet.run(ledger, signals, bars)
        wall_s = time.perf_counter() - warmed_s
    results = ledger.results()
    failed = next((result.error for result in results if result.outcome == "failed"), None)
    if failed is not None:
        raise ConfigError(f"bench --ray: {failed}")
    busy_s = sum(result.wall_s for result in results)
    overhead_s = max(0.0, wall_s * count - busy_s) / max(1, len(results))
    return FleetRate(count, ledger.frames / max(wall_s, 1e-9), warmed_s - started_s, overhead_s)


def _jobs(clip: Path, config: AppConfig, folder: Path, count: int) -> list[Job]:
    folder.mkdir(parents=True)
    names = [folder / f"clip{number}{clip.suffix}" for number in range(count)]
    for name in names:
        os.symlink(clip, name)
    output = OutputConfig(tracks=folder / "tracks.csv")
    plain = replace(config, output=output, video=VideoConfig(annotate=False), report=ReportConfig())
    return plan_jobs([str(name) for name in names], plain)
