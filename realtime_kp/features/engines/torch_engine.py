"""The network in torch, on any device."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from realtime_kp.features.engines.interface import EngineChoice, Outputs
from realtime_kp.features.network import KeypointNetwork


class TorchEngine:
    """The network in torch, in channels-last layout."""

    def __init__(self, network: KeypointNetwork, choice: EngineChoice) -> None:
        self._choice = choice
        self._device = torch.device(choice.device)
        dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[choice.precision]
        network.to(device=self._device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network

    @property
    def choice(self) -> EngineChoice:
        """Engine, device and precision."""
        return self._choice

    @property
    def in_flight(self) -> int:
        """One run at a time."""
        return 1

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self._device

    @property
    def network(self) -> KeypointNetwork:
        """The network, for input that is on the device already."""
        return self._network

    def submit(self, grey: NDArray[np.uint8]) -> Outputs:
        """Start a run; on a GPU it is still executing when this returns."""
        with torch.inference_mode():
            pixels = torch.from_numpy(grey).to(self._device, non_blocking=True)
            logits, descriptors = self._network(pixels)

        def wait() -> tuple[torch.Tensor, torch.Tensor]:
            # Without synchronisation a timer would measure the launch only.
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            elif self._device.type == "mps":
                torch.mps.synchronize()
            return logits, descriptors

        return wait

    def close(self) -> None:
        """Release the network."""
        del self._network
