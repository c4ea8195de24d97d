"""Selection of a device and precision for ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from realtime_kp.errors import ModelError
from realtime_kp.features.engines.interface import EngineChoice
from realtime_kp.features.engines.onnxruntime_engine import (
    PROVIDERS,
    available_devices,
    onnxruntime_problem,
    read_notes,
)

if TYPE_CHECKING:
    from realtime_kp.config import SuperPointConfig


def is_onnx_file(model: str) -> bool:
    """Whether a value of `--model` is a file for ONNX Runtime."""
    return Path(model).suffix.lower() == ".onnx"


def choose_provider(config: SuperPointConfig) -> EngineChoice:
    """Resolve every `auto` for ONNX Runtime.

    Raises:
        ModelError: It is missing, has no provider for the device, or the combination is not supported.
    """
    if config.engine not in ("auto", "onnxruntime"):
        what = config.model if is_onnx_file(config.model) else f"--device {config.device}"
        raise ModelError(f"{what} is for ONNX Runtime, not for {config.engine}; use --engine onnxruntime")
    problem = onnxruntime_problem()
    if problem is not None:
        raise ModelError(problem)
    there = available_devices()
    device, _, number = config.device.partition(":")
    if device == "auto":
        device = "cuda" if "cuda" in there else "cpu"
    if device not in PROVIDERS:
        raise ModelError(f"ONNX Runtime does not run on {device}; it takes --device {', '.join(PROVIDERS)}")
    if device not in there:
        provider, package = PROVIDERS[device]
        raise ModelError(
            f"this ONNX Runtime has no {provider}, only devices {', '.join(there)}: pip install {package}"
        )
    full = f"cuda:{number or 0}" if device == "cuda" else device
    return EngineChoice("onnxruntime", full, _precision(config, device))


def _precision(config: SuperPointConfig, device: str) -> str:
    if is_onnx_file(config.model):
        own = read_notes(config.model).get("precision", "fp32")
        if config.precision not in ("auto", own):
            raise ModelError(
                f"{config.model} is in {own}; convert it again for --precision {config.precision}"
            )
        return own
    if config.precision in ("fp32", "fp16"):
        return config.precision
    if config.precision != "auto":
        raise ModelError(f"ONNX Runtime takes --precision fp32 or fp16, not {config.precision}")
    return "fp32" if device == "cpu" else "fp16"
