"""The network in OpenVINO."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ModelError, first_line
from realtime_kp.features.checks import check_weights
from realtime_kp.features.engines.openvino_graph import network_graph

if TYPE_CHECKING:
    from realtime_kp.features.engines.interface import EngineChoice, Outputs
    from realtime_kp.features.models import Model

MAX_COMPILED_SHAPES = 4
_STREAMS = 2


class OpenVinoEngine:
    """The network in OpenVINO, compiled once per input shape: on the CPU, or on Intel's GPUs and NPUs.

    Args:
        graph: The network with dynamic shapes.
        choice: Device and precision.
        latency: One run at a time on all cores. Else two streams, each on half of the cores: a thread that
            occupies a core then delays one of the streams only, and neither waits for the other in every
            layer.
    """

    def __init__(self, graph: Any, choice: EngineChoice, *, latency: bool = True) -> None:
        import openvino

        self._choice = choice
        self._streams = 1 if latency else min(_STREAMS, os.cpu_count() or 1)
        self._core = openvino.Core()
        self._requests: OrderedDict[tuple[int, ...], deque[Any]] = OrderedDict()
        self._graph = graph

    @property
    def choice(self) -> EngineChoice:
        """Engine, device and precision."""
        return self._choice

    @property
    def in_flight(self) -> int:
        """One run per stream, and one more while the outputs of another are processed."""
        return 1 if self._streams == 1 else self._streams + 1

    def submit(self, grey: NDArray[np.uint8]) -> Outputs:
        """Start a run."""
        requests = self._compiled(grey.shape)
        request = requests[0]
        requests.rotate(-1)
        request.start_async([np.ascontiguousarray(grey)])

        def wait() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            request.wait()
            return request.get_output_tensor(0).data, request.get_output_tensor(1).data

        return wait

    def close(self) -> None:
        """Release the compiled models."""
        for requests in self._requests.values():
            for request in requests:
                request.wait()
        self._requests.clear()

    def _compiled(self, shape: tuple[int, ...]) -> deque[Any]:
        if shape in self._requests:
            self._requests.move_to_end(shape)
            return self._requests[shape]
        graph = self._graph.clone()
        graph.reshape(list(shape))
        # Layers of an 8-bit network that are not quantised run in bf16 where the CPU has it.
        half = self._choice.precision == "bf16" or (
            self._choice.precision == "int8" and "bf16" in cpu_precisions()
        )
        precision = "f16" if self._choice.precision == "fp16" else "bf16" if half else "f32"
        hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
        if self._streams == 1:
            hints["PERFORMANCE_HINT"] = "LATENCY"
        else:
            hints["NUM_STREAMS"] = self._streams
        compiled = self._core.compile_model(graph, self._choice.device.upper(), hints)
        self._requests[shape] = deque(compiled.create_infer_request() for _ in range(self.in_flight))
        while len(self._requests) > MAX_COMPILED_SHAPES:
            self._requests.popitem(last=False)
        return self._requests[shape]


def openvino_model(model: Model, *, int8: bool) -> Any:
    """The network as an OpenVINO model with dynamic shapes.

    Args:
        model: The weights.
        int8: Use the 8-bit version, which must exist.

    Raises:
        ModelError: The 8-bit version cannot be read, or weights are NaN or infinite.
    """
    import openvino

    if int8 and model.ref.int8_file is not None:
        place = model.ref.int8_file.with_suffix(".bin")
        try:
            graph = openvino.Core().read_model(model.ref.int8_file)
        except RuntimeError as exc:
            raise ModelError(
                f"cannot load {model.ref.int8_file}: {first_line(exc)}; make it with realtime-kp quantise"
            ) from exc
    else:
        place = Path(model.ref.location)
        graph = network_graph(model.arrays())
    constants = (op for op in graph.get_ops() if op.get_type_name() == "Constant")
    check_weights(place, ((op.get_friendly_name(), op.data) for op in constants))
    return graph


def openvino_problem() -> str | None:
    """Reason why OpenVINO cannot be used here; None where it can."""
    try:
        import openvino

        devices = openvino.Core().available_devices
    except Exception as exc:
        return first_line(exc)
    return None if "CPU" in devices else "it finds no CPU device"


def other_devices() -> tuple[str, ...]:
    """Devices besides the CPU that OpenVINO finds, by our names: `gpu` and `npu`."""
    import openvino

    there = {device.partition(".")[0].lower() for device in openvino.Core().available_devices}
    return tuple(device for device in ("gpu", "npu") if device in there)


def cpu_precisions() -> tuple[str, ...]:
    """Precisions that OpenVINO runs natively on this CPU, fastest first."""
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bf16", "fp32") if "BF16" in capabilities else ("fp32",)
