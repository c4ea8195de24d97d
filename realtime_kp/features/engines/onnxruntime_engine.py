"""The network in ONNX Runtime, on any of its execution providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ModelError, first_line

if TYPE_CHECKING:
    from realtime_kp.features.engines.interface import EngineChoice, Outputs

# By our names of devices: the provider, and the package that brings it (onnxruntime.ai, execution providers).
PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
}
_HEADS = ["logits", "descriptor_map"]


class OnnxRuntimeEngine:
    """The network in ONNX Runtime.

    Args:
        network: The network alone, as `convert` writes it: a file's path, or its content.
        choice: Device and precision; the latter is that of the network.

    Raises:
        ModelError: The provider cannot be loaded, or it is another network.
    """

    def __init__(self, network: str | bytes, choice: EngineChoice) -> None:
        import onnxruntime

        self._choice = choice
        device, _, number = choice.device.partition(":")
        provider: Any = PROVIDERS[device][0]
        options = [(provider, {"device_id": int(number or 0)} if device in ("cuda", "tensorrt") else {})]
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # errors only: providers tell of each operation that they do not take
        self._session = _session(network, providers=options, sess_options=settings)
        if self._session.get_providers()[0] != provider:
            raise ModelError(f"ONNX Runtime cannot use {provider} here: are its libraries and driver there?")
        self._check()

    @property
    def choice(self) -> EngineChoice:
        """Engine, device and precision."""
        return self._choice

    @property
    def in_flight(self) -> int:
        """One run at a time."""
        return 1

    def submit(self, grey: NDArray[np.uint8]) -> Outputs:
        """Prepare a run; it takes place when its outputs are requested."""
        pixels = np.ascontiguousarray(grey)

        def wait() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            try:
                logits, descriptor_map = self._session.run(_HEADS, {"grey": pixels})
            except Exception as exc:  # its exceptions have no common base of their own
                raise RuntimeError(first_line(exc)) from exc
            return logits, descriptor_map

        return wait

    def close(self) -> None:
        """Release the session."""
        del self._session

    def _check(self) -> None:
        inputs = [one.name for one in self._session.get_inputs()]
        outputs = [one.name for one in self._session.get_outputs()]
        if inputs == ["grey"] and outputs == ["keypoints", "scores", "descriptors"]:
            raise ModelError(
                "this network finds keypoints by itself: convert it without --with-keypoints to run it here"
            )
        if inputs != ["grey"] or outputs != _HEADS:
            raise ModelError(
                f"this is no network that realtime-kp convert has written: it takes {', '.join(inputs)} and "
                f"gives {', '.join(outputs)}"
            )


def read_notes(path: str) -> dict[str, str]:
    """What a converted network tells of itself.

    Raises:
        ModelError: It cannot be read, or ONNX Runtime is missing.
    """
    problem = onnxruntime_problem()
    if problem is not None:
        raise ModelError(problem)
    notes: dict[str, str] = _session(path).get_modelmeta().custom_metadata_map
    return notes


def converted_shape(path: str) -> tuple[int, int]:
    """Width of the border without keypoints, pixels, and length of a descriptor, of a converted network.

    Raises:
        ModelError: It is no such network, or cannot be read.
    """
    notes = read_notes(path)
    try:
        return int(notes["border_px"]), int(notes["descriptor_dim"])
    except (KeyError, ValueError) as exc:
        raise ModelError(f"{path} is no network that realtime-kp convert has written") from exc


def onnxruntime_problem() -> str | None:
    """Reason why ONNX Runtime cannot be used here; None where it can."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return "ONNX Runtime is not installed: pip install 'realtime-kp[onnx]'"
    return None


def available_devices() -> tuple[str, ...]:
    """The devices, by our names, for which this ONNX Runtime has a provider."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    return tuple(device for device, (provider, _) in PROVIDERS.items() if provider in there)


def _session(network: str | bytes, **options: Any) -> Any:
    import onnxruntime

    options.setdefault("providers", ["CPUExecutionProvider"])
    try:
        return onnxruntime.InferenceSession(network, **options)
    except Exception as exc:  # its exceptions have no common base of their own
        name = network if isinstance(network, str) else "the network"
        raise ModelError(f"ONNX Runtime cannot load {name}: {first_line(exc)}") from exc
