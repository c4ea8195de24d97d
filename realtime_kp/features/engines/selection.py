"""Selection of engine, device and precision."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError, first_line
from realtime_kp.features.device_memory import is_out_of_memory
from realtime_kp.features.engines.interface import Engine, EngineChoice
from realtime_kp.features.engines.onnx_selection import choose_provider, is_onnx_file
from realtime_kp.features.engines.onnxruntime_engine import OnnxRuntimeEngine
from realtime_kp.features.engines.openvino_engine import (
    OpenVinoEngine,
    cpu_precisions,
    openvino_model,
    openvino_problem,
    other_devices,
)
from realtime_kp.features.weights_store import find_weights
from realtime_kp.machine import may_have_gpu, multiplies_bytes

if TYPE_CHECKING:
    from realtime_kp.features.models import Model

log = logging.getLogger(__name__)

_OF_ONNX = ("tensorrt", "directml", "coreml")
_OF_OPENVINO = ("gpu", "npu")


def choose_engine(config: SuperPointConfig) -> EngineChoice:
    """Resolve every `auto` for this machine.

    Raises:
        ModelError: The machine lacks what was requested, or the combination is not supported.
    """
    if config.engine == "onnxruntime" or config.device in _OF_ONNX or is_onnx_file(config.model):
        return choose_provider(config)
    device = choose_device(config.device)
    engine = _choose_engine(config.engine, device)
    return EngineChoice(engine, device, _choose_precision(config.precision, engine, device))


def make_engine(model: Model, choice: EngineChoice, *, latency: bool = True) -> Engine:
    """Create an engine.

    Args:
        model: The weights.
        choice: Engine, device and precision.
        latency: Optimise for the latency of a single run; else for throughput, with several runs in flight.

    Raises:
        ModelError: The weights cannot be loaded, the engine cannot run the network, or there is no 8-bit
            version.
        torch.OutOfMemoryError: The device has too little memory.
    """
    if choice.precision == "int8" and model.ref.int8_file is None:
        raise ModelError(
            "these weights come without an int8 version; use --precision auto, or make one with "
            "realtime-kp quantise"
        )
    try:
        if choice.engine == "torch":
            from realtime_kp.features.engines.torch_engine import TorchEngine

            return TorchEngine(model.network(), choice)
        if choice.engine == "onnxruntime":
            return OnnxRuntimeEngine(_onnx_network(model, choice), choice)
        return OpenVinoEngine(openvino_model(model, int8=choice.precision == "int8"), choice, latency=latency)
    except (RuntimeError, ValueError) as exc:
        if isinstance(exc, RuntimeError) and is_out_of_memory(exc):
            raise
        raise ModelError(f"the engine {choice.engine} cannot load the network: {first_line(exc)}") from exc


def choose_device(asked: str) -> str:
    """Resolve `auto` and add the index of a CUDA device: `cpu`, `cuda:N` or `mps`.

    Raises:
        ModelError: The machine has no such device.
    """
    # Loading torch takes a second, on an old laptop five.
    if asked == "cpu" or (asked == "auto" and not may_have_gpu()):
        return "cpu"
    if asked in _OF_ONNX:
        return asked
    if asked in _OF_OPENVINO:
        there = () if openvino_problem() is not None else other_devices()
        if asked not in there:
            found = ", ".join(("cpu", *there))
            raise ModelError(f"OpenVINO finds no {asked} here, only {found}: is its driver installed?")
        return asked
    import torch

    if asked.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = int(asked.partition(":")[2] or 0)
        if index >= count:
            raise ModelError(f"there is no {asked}: torch sees {count} CUDA devices; use --device auto")
        return f"cuda:{index}"
    has_mps = torch.backends.mps.is_available()
    if asked == "mps":
        if not has_mps:
            raise ModelError("there is no mps device here: it is Apple's; use --device auto")
        return "mps"
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if has_mps else "cpu"


def has_native_half(device: str) -> bool:
    """Whether a device computes in half precision itself; a CPU without bf16 imitates it, far slower.

    Args:
        device: As `choose_device` gives it.
    """
    if device != "cpu":
        return True
    return openvino_problem() is None and "bf16" in cpu_precisions()


def may_gain_by_8_bits(config: SuperPointConfig) -> bool:
    """Whether 8 bits are worth a trial: on a CPU that multiplies bytes and has no native bf16.

    Args:
        config: Weights, engine, device and precision.
    """
    choice = choose_engine(config)
    if config.precision != "auto" or choice.engine != "openvino" or "bf16" in cpu_precisions():
        return False
    return multiplies_bytes() and find_weights(config.model).int8_file is not None


def _choose_engine(asked: str, device: str) -> str:
    if device in _OF_OPENVINO:
        if asked == "torch":
            raise ModelError(f"torch does not run on {device}; use --engine openvino")
        return "openvino"
    if asked == "torch" or (asked == "auto" and device != "cpu"):
        return "torch"
    if device != "cpu":
        raise ModelError(
            f"the engine openvino runs on the CPU, and on Intel's gpu and npu, not on {device}; use "
            "--engine torch"
        )
    problem = openvino_problem()
    if problem is None:
        return "openvino"
    if asked == "auto":
        log.warning("OpenVINO cannot be used (%s): torch runs instead, which is slower on a CPU", problem)
        return "torch"
    raise ModelError(f"the engine openvino cannot be used: {problem}; use --engine torch")


def _choose_precision(asked: str, engine: str, device: str) -> str:
    if asked == "int8":
        if engine != "openvino" or device != "cpu":
            raise ModelError("int8 is for OpenVINO on a CPU; use --device cpu --engine openvino")
        return asked
    if device in _OF_OPENVINO and asked == "bf16":
        raise ModelError(f"bf16 is for CPUs and NVIDIA's GPUs; {device} takes --precision fp16 or fp32")
    if device != "cpu":
        return "fp16" if asked == "auto" else asked
    native = cpu_precisions() if engine == "openvino" else ("fp32",)
    if asked == "auto":
        return native[0]
    if asked == "fp16":
        raise ModelError("fp16 is for GPUs; a CPU takes --precision bf16 or fp32")
    if asked == "bf16" and engine == "openvino" and "bf16" not in native:
        raise ModelError("this CPU has no native bf16; use --precision auto")
    return asked


def _onnx_network(model: Model, choice: EngineChoice) -> str | bytes:
    """A file that was converted before, or the network converted now."""
    if model.ref.kind == "onnx":
        return model.ref.location
    from realtime_kp import __version__
    from realtime_kp.features.convert import Conversion, convert

    return convert(model, Conversion("onnx", half=choice.precision == "fp16"), __version__)[".onnx"]
