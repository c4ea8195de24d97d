"""Step: profile of the kernels of a frame, and idle time between them."""

from __future__ import annotations

import itertools

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_steps import Record, Settings
from benchmarks.gpu_steps.frames import moving_frames
from realtime_kp.features import SuperPoint

_ROWS = 40


def run(settings: Settings, record: Record) -> None:
    """Profile a few frames: the graph, then network and decoding as separate steps."""
    on_gpu = settings.device != "cpu"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])
    size_wh = settings.sizes_wh[0]
    frames = moving_frames(size_wh, 8)
    config = settings.superpoint(settings.models[0], size_wh)
    with SuperPoint(config) as superpoint:
        superpoint.warm_up(size_wh)

        def as_graph() -> None:
            for frame in frames:
                superpoint.extract(frame)

        def as_steps() -> None:
            for frame in frames:
                outputs = superpoint.run(superpoint.prepare([frame]))
                superpoint.decode(*outputs, source_wh=size_wh)

        for name, work in {"graph": as_graph, "steps": as_steps}.items():
            work()
            with profile(activities=activities) as profiled:
                work()
                if on_gpu:
                    torch.cuda.synchronize()
            rows = sorted(profiled.key_averages(), key=_device_us, reverse=True)[:_ROWS]
            record(
                name,
                [
                    f"{_device_us(row) / len(frames):9.1f} us x {row.count:4d}  {row.key[:110]}"
                    for row in rows
                ],
            )
            if on_gpu:
                record(f"{name}: busy and idle us a frame", _busy(profiled, len(frames)))


def _device_us(row: object) -> float:
    on_device = getattr(row, "self_device_time_total", 0)
    return float(on_device or getattr(row, "self_cpu_time_total", 0))


def _busy(profiled: profile, frames: int) -> dict[str, float]:
    """Time that kernels and copies ran, and gaps between them of less than a frame."""
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profiled.events() or []  # type: ignore[no-untyped-call]
        if event.device_type == DeviceType.CUDA
    )
    busy = sum(end - start for start, end in spans)
    gaps = sum(max(0.0, b[0] - a[1]) for a, b in itertools.pairwise(spans))
    return {"busy": round(busy / frames, 1), "idle": round(gaps / frames, 1), "events": len(spans) / frames}
