"""Step: device time of network and decoding, their parts, and compiled variants, as CUDA graphs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional

from benchmarks.gpu_steps import Record, Settings
from benchmarks.gpu_steps.frames import moving_frames
from benchmarks.gpu_steps.timing import device_ms
from realtime_kp.errors import first_line
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.decode.suppression import non_maximum_suppression
from realtime_kp.features.decode.torch_decoder import (
    decode,
    heatmap,
    refine,
    sample_descriptors,
    top_keypoints,
    trim_border,
)
from realtime_kp.features.models import find_model
from realtime_kp.features.network import KeypointNetwork
from realtime_kp.features.resize import to_network

Network = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_COMPILED = ((None, 1), (None, 32), ("max-autotune-no-cudagraphs", 1))
_DECODE = DecodeSettings(max_keypoints=1024, nms_radius=4, border=4, subpixel=True, descriptor_grid="exact")


def run(settings: Settings, record: Record) -> None:
    """Time network and decoding at several batches, the parts of decoding, and compiled variants."""
    device = torch.device(settings.device)
    names = ("fp32",) if device.type == "cpu" else ("fp16",) if settings.tiny else ("fp16", "bf16")
    runs = 2 if settings.tiny else 200
    size_wh = settings.sizes_wh[0]
    batches = (1,) if settings.tiny else (1, 8, 32)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
        for model in settings.models:
            for name in names:
                network = _network(model, device, _DTYPES[name])
                for batch in batches:
                    grey = _grey(size_wh, batch).to(device)
                    label = f"{model} {name} batch {batch}"
                    record(f"{label}: network", _ms(partial(network, grey), device, runs))
                    whole = partial(_keypoints, network, grey)
                    record(f"{label}: network and decoding", _ms(whole, device, runs))
        network = _network(settings.models[0], device, _DTYPES[names[0]])
        _parts(network, _grey(size_wh, 1).to(device), device, runs, record)
        for mode, batch in ((None, 1),) if settings.tiny else _COMPILED:
            _compiled(network, _grey(size_wh, batch).to(device), device, runs, record, mode)


def _keypoints(network: Network, grey: torch.Tensor) -> torch.Tensor:
    logits, descriptors = network(grey)
    return decode(logits, descriptors, _DECODE).packed()


def _parts(
    network: KeypointNetwork, grey: torch.Tensor, device: torch.device, runs: int, record: Record
) -> None:
    """Each step of decoding by itself, batch 1."""
    logits, descriptors = network(grey)
    heat = heatmap(logits)
    peaks = trim_border(non_maximum_suppression(heat, _DECODE.nms_radius), _DECODE.border)
    xy, _ = top_keypoints(peaks, _DECODE.max_keypoints, _DECODE.nms_radius)
    parts: dict[str, Callable[[], object]] = {
        "soft-max": lambda: heatmap(logits),
        "non-maximum suppression": lambda: non_maximum_suppression(heat, _DECODE.nms_radius),
        "border": lambda: trim_border(peaks, _DECODE.border),
        "top k": lambda: top_keypoints(peaks, _DECODE.max_keypoints, _DECODE.nms_radius),
        "top k by sorting": lambda: _sorted_top(peaks),
        "top k in 16 parts": lambda: _top_in_parts(peaks, 16),
        "sub-pixel": lambda: refine(heat, xy),
        "descriptors": lambda: sample_descriptors(descriptors, xy, "exact"),
        "decoding": lambda: decode(logits, descriptors, _DECODE).packed(),
    }
    for name, part in parts.items():
        record(f"part: {name}", _ms(part, device, runs))


def _sorted_top(peaks: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(peaks.unsqueeze(1), 4).flatten(1).sort(dim=1, descending=True)[0]


def _top_in_parts(peaks: torch.Tensor, parts: int) -> torch.Tensor:
    values = functional.max_pool2d(peaks.unsqueeze(1), 4).flatten(1)
    kept = min(_DECODE.max_keypoints, values.shape[1] // parts)
    best = values.view(len(values), parts, -1).topk(kept, dim=2, sorted=False)[0].flatten(1)
    return best.topk(min(_DECODE.max_keypoints, best.shape[1]), dim=1)[0]


def _compiled(
    network: KeypointNetwork,
    grey: torch.Tensor,
    device: torch.device,
    runs: int,
    record: Record,
    mode: str | None,
) -> None:
    """Network and decoding fused by `torch.compile` in one of its modes; how long compiling took."""
    functions: dict[str, Callable[[torch.Tensor], object]] = {
        "network": network,
        "network and decoding": partial(_keypoints, network),
    }
    for name, function in functions.items():
        label = f"compiled {name}, mode {mode or 'default'}, batch {len(grey)}"
        if device.type == "cpu":
            record(label, "left out on a CPU")
            continue
        torch._dynamo.reset()
        fused = torch.compile(function, dynamic=False, mode=mode)
        started_s = time.perf_counter()
        try:
            fused(grey)
            torch.cuda.synchronize(device)
        except Exception as exc:  # each backend has errors of its own
            record(label, first_line(exc))
            continue
        compile_s = round(time.perf_counter() - started_s, 1)
        ms = _ms(partial(fused, grey), device, runs)
        record(label, {"ms": ms, "compile_s": compile_s})


def _ms(work: Callable[[], object], device: torch.device, runs: int) -> float | str:
    try:
        return device_ms(work, device, runs)
    except RuntimeError as exc:
        return first_line(exc)


def _network(model: str, device: torch.device, dtype: torch.dtype) -> KeypointNetwork:
    network = find_model(model).network()
    network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _grey(size_wh: tuple[int, int], batch: int) -> torch.Tensor:
    frames = moving_frames(size_wh, min(batch, 8))
    grey = [torch.from_numpy(to_network(frames[i % len(frames)], size_wh)) for i in range(batch)]
    return torch.stack(grey)
