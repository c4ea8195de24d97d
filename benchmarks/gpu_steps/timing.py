"""Timing work on a device: wall clock around calls, and CUDA events around graph replays."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import torch

_WARM_UPS = 3


def percentiles_ms(call: Callable[[int], object], runs: int, warm_ups: int = _WARM_UPS) -> dict[str, float]:
    """Wall-clock percentiles of a call that ends when its results are on the host.

    Args:
        call: Takes the number of the run.
        runs: How many are measured.
        warm_ups: How many come before.
    """
    for i in range(warm_ups):
        call(i)
    took_s = []
    for i in range(runs):
        started_s = time.perf_counter()
        call(i)
        took_s.append(time.perf_counter() - started_s)
    p50, p95, p99 = np.percentile(np.array(took_s) * 1e3, (50, 95, 99))
    return {"p50_ms": round(p50, 4), "p95_ms": round(p95, 4), "p99_ms": round(p99, 4)}


def device_ms(work: Callable[[], object], device: torch.device, runs: int) -> float:
    """Median time of some work on the device alone, captured as one CUDA graph and timed by events.

    On a CPU, where there are no graphs, the median wall-clock time of the call.

    Raises:
        RuntimeError: The work cannot be captured.
    """
    if device.type != "cuda":
        return percentiles_ms(lambda _: work(), runs)["p50_ms"]
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            work()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            work()
        events = [torch.cuda.Event(enable_timing=True) for _ in range(runs + 1)]  # type: ignore[no-untyped-call]
        for _ in range(_WARM_UPS):
            graph.replay()
        for event in events[:-1]:
            event.record()
            graph.replay()
        events[-1].record()
        stream.synchronize()
    gaps = [a.elapsed_time(b) for a, b in itertools.pairwise(events)]
    return round(float(np.median(gaps)), 4)
