"""The interface of an inference engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    # Of torch, or arrays of float32.
    Maps = tuple[torch.Tensor, torch.Tensor] | tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Engine, device and precision with every `auto` resolved.

    Attributes:
        engine: `torch`, `openvino` or `onnxruntime`.
        device: `cpu`, `cuda:N`, `mps`; of OpenVINO `gpu` and `npu`; of ONNX Runtime `tensorrt`, `directml`
            and `coreml`.
        precision: `fp32`, `bf16`, `fp16` or `int8`.
    """

    engine: str
    device: str
    precision: str


# Waits for a run and returns logits and descriptor map, as `KeypointNetwork.forward` gives them.
Outputs = Callable[[], "Maps"]


class Engine(Protocol):
    """Runs the network on batches of grey images."""

    @property
    def choice(self) -> EngineChoice:
        """Engine, device and precision."""
        ...

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the outputs of the first one are requested."""
        ...

    def submit(self, grey: NDArray[np.uint8]) -> Outputs:
        """Start a run.

        Args:
            grey: `(B, H, W) uint8`.

        Returns:
            A callable that waits for the logits and the descriptor map. They stay valid until `in_flight`
            further runs have been submitted.
        """
        ...

    def close(self) -> None:
        """Release the network and its buffers."""
        ...
