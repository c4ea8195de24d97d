"""Step: the machine, and the two ceilings of its GPU, memory bandwidth and matrix rate."""

from __future__ import annotations

import subprocess
import time

import torch

from benchmarks.gpu_steps import Record, Settings
from benchmarks.gpu_steps.timing import device_ms
from realtime_kp.machine import describe_machine

_QUERY = "name,driver_version,memory.total,clocks.max.sm,power.limit"


def run(settings: Settings, record: Record) -> None:
    """Record card and versions; measure copy bandwidth, matrix rate and upload rate."""
    record("machine", describe_machine())
    record("torch", {"version": torch.__version__, "cuda": torch.version.cuda})
    started_s = time.perf_counter()
    device = torch.device(settings.device)
    torch.zeros(1, device=device)
    record("context_s", round(time.perf_counter() - started_s, 2))
    if device.type != "cuda":
        return
    found = subprocess.run(
        ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    record("card", found.stdout.strip() or found.stderr.strip())
    record("capability", torch.cuda.get_device_capability(device))
    record("cudnn", torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    source = torch.empty(2**30, dtype=torch.uint8, device=device).random_(255)
    target = torch.empty_like(source)
    copy_ms = device_ms(lambda: target.copy_(source), device, 20)
    record("copy_TB_per_s", round(2 * source.numel() / copy_ms / 1e9, 2))
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.float16) for _ in range(2))
    product_ms = device_ms(lambda: a @ b, device, 10)
    record("matrix_fp16_TFLOP_per_s", round(2 * 8192**3 / product_ms / 1e9, 1))
    pinned = torch.empty(2**26, dtype=torch.uint8, pin_memory=True)
    upload_ms = device_ms(lambda: source[: 2**26].copy_(pinned, non_blocking=True), device, 10)
    record("upload_GB_per_s", round(2**26 / upload_ms / 1e6, 1))
