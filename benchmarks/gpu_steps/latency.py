"""Step: latency, throughput and memory from BGR frames to keypoints in host memory, and transformers."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_steps import Record, Settings
from benchmarks.gpu_steps.frames import moving_frames
from benchmarks.gpu_steps.timing import percentiles_ms
from realtime_kp.bench.transformers_loop import transformers_step
from realtime_kp.config import SuperPointConfig
from realtime_kp.features import SuperPoint

_FRAMES = 16


def run(settings: Settings, record: Record) -> None:
    """Measure every model, size and batch, fused and not; then transformers' own call on the same frames."""
    for half in (False, True):
        record(f"transformers {'half' if half else 'fp32'}", _transformers(settings, half))
    for model in settings.models:
        for size_wh in settings.sizes_wh:
            name = f"{model} {size_wh[0]}x{size_wh[1]}"
            for fused in (True, False):
                label = f"{name}{' compiled' if fused else ''}"
                torch.compiler.reset()  # it gives up after eight shapes in one process
                config = settings.superpoint(model, size_wh, fused=fused)
                for batch in settings.batches(size_wh):
                    record(
                        f"{label}, throughput, batch {batch}", _throughput(settings, config, size_wh, batch)
                    )
                record(f"{label}, batch 1", _latency(settings, config, size_wh))
            record(
                f"{name}, batch 1, network and decoding as separate steps", _steps(settings, config, size_wh)
            )


def _latency(settings: Settings, config: SuperPointConfig, size_wh: tuple[int, int]) -> dict[str, Any]:
    frames = moving_frames(size_wh, _FRAMES)
    started_s = time.perf_counter()
    with SuperPoint(config) as superpoint:
        superpoint.warm_up(size_wh)
        ready_s = time.perf_counter() - started_s
        found = superpoint.extract(frames[0])
        times = percentiles_ms(lambda i: superpoint.extract(frames[i % _FRAMES]), _runs(settings, 500))
        parts = [superpoint.extract(frame) for frame in frames]
    stages = {
        name: round(float(np.median([getattr(part, name) for part in parts])), 4)
        for name in ("resize_ms", "network_ms", "keypoints_ms")
    }
    return {**times, **stages, "keypoints": len(found.keypoints), "ready_s": round(ready_s, 1)}


def _steps(settings: Settings, config: SuperPointConfig, size_wh: tuple[int, int]) -> dict[str, Any]:
    frames = moving_frames(size_wh, _FRAMES)
    with SuperPoint(config) as superpoint:

        def detect(i: int) -> None:
            outputs = superpoint.run(superpoint.prepare([frames[i % _FRAMES]]))
            superpoint.decode(*outputs, source_wh=size_wh)

        return percentiles_ms(detect, _runs(settings, 100), warm_ups=10)


def _throughput(
    settings: Settings, config: SuperPointConfig, size_wh: tuple[int, int], batch: int
) -> dict[str, Any]:
    """Frames a second with as many runs in flight as there may be."""
    frames = moving_frames(size_wh, _FRAMES)
    batches = [[frames[(i + k) % _FRAMES] for k in range(batch)] for i in range(4)]
    runs = max(4, _runs(settings, 640) // batch)
    if settings.device != "cpu":
        torch.cuda.reset_peak_memory_stats(settings.device)
    with SuperPoint(config, latency=False) as superpoint:
        superpoint.warm_up(size_wh, batch=batch)

        def all_runs(_: int) -> None:
            begun = deque([superpoint.submit(batches[0])])
            for i in range(1, runs):
                begun.append(superpoint.submit(batches[i % len(batches)]))
                while len(begun) >= superpoint.in_flight:
                    begun.popleft()()
            for results in begun:
                results()

        took = percentiles_ms(all_runs, 3, warm_ups=1)
    per_s = round(runs * batch / took["p50_ms"] * 1e3, 1)
    peak = 0 if settings.device == "cpu" else torch.cuda.max_memory_allocated(settings.device)
    return {"frames_per_s": per_s, "peak_device_memory_mb": round(peak / 2**20)}


def _transformers(settings: Settings, half: bool) -> dict[str, Any]:
    size_wh = settings.sizes_wh[0]
    frames = moving_frames(size_wh, _FRAMES)
    config = settings.superpoint(settings.models[0], size_wh)
    with transformers_step(config, half=half) as step:
        return percentiles_ms(lambda i: step(frames[i % _FRAMES]), _runs(settings, 60))


def _runs(settings: Settings, runs: int) -> int:
    return 2 if settings.tiny else runs
