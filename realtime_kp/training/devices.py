"""What a device supports that decides how training runs on it."""

from __future__ import annotations

import logging

import torch
from torch.nn import functional

from realtime_kp.errors import first_line
from realtime_kp.features.engines.openvino_engine import cpu_precisions, openvino_problem

log = logging.getLogger(__name__)


def supports_compile(device: torch.device) -> bool:
    """Whether `torch.compile` works, for which it needs a C compiler; logs a warning where it does not."""
    try:
        torch.compile(functional.softplus)(torch.ones(8, device=device))
    except Exception as exc:  # each backend has errors of its own
        log.warning("training continues without torch.compile, slower: %s", first_line(exc))
        return False
    return True


def supports_bf16(device: torch.device) -> bool:
    """Whether bf16 is native. Where a CPU emulates it, a step takes three times as long as in float32."""
    if device.type != "cpu":
        return True
    return openvino_problem() is None and "bf16" in cpu_precisions()
