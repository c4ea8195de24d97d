"""From grey pictures to keypoints in network pixels: step by step, or on a GPU in one go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from realtime_kp.features.cuda_graph import CudaGraphKeypoints
from realtime_kp.features.decode.numpy_decoder import decode_arrays
from realtime_kp.features.decode.settings import DecodeSettings, HostArrays
from realtime_kp.features.decode.torch_decoder import decode
from realtime_kp.features.engines.interface import Engine
from realtime_kp.features.engines.torch_engine import TorchEngine

_GRAPHS_IN_FLIGHT = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Keypoints of a batch on the host.

    Attributes:
        arrays: Places, scores and descriptors, as `DecodedBatch.to_host` has them.
        network_done_s: When the network had finished, by `time.perf_counter`; where a graph holds the
            decoding as well, when all had.
    """

    arrays: HostArrays
    network_done_s: float


class KeypointDetector(Protocol):
    """Runs the network and decodes its outputs."""

    @property
    def in_flight(self) -> int:
        """How many runs may be begun before the first one's results are asked for."""
        ...

    @property
    def takes_bgr(self) -> bool:
        """Whether pictures of the network's size may be BGR as well."""
        ...

    def submit(self, pictures: Sequence[NDArray[np.uint8]], threshold: float) -> Callable[[], Finding]:
        """Begin with pictures of the network's size; calling what comes back waits for the keypoints.

        Each is `(H, W) uint8` grey, or `(H, W, 3) uint8` where BGR is taken.

        Rows that score no more than `threshold` may be left out at the end.
        """
        ...


def make_detector(
    engine: Engine, settings: DecodeSettings, *, latency: bool = True, fused: bool = False
) -> KeypointDetector:
    """The fastest way there is with this engine.

    Args:
        engine: Runs the network.
        settings: How to decode.
        latency: Finish each run as soon as can be; else as many as can be.
        fused: Compile network and decoding, where this is of use.
    """
    if isinstance(engine, TorchEngine) and engine.device.type == "cuda":
        in_flight = 1 if latency else _GRAPHS_IN_FLIGHT
        graphed = CudaGraphKeypoints(engine.network, settings, engine.device, in_flight, fused=fused)
        return CudaGraphDetector(graphed)
    return StepwiseDetector(engine, settings)


def decode_outputs(
    logits: torch.Tensor, descriptor_maps: torch.Tensor, settings: DecodeSettings, threshold: float
) -> HostArrays:
    """Keypoints of a batch from the outputs of both heads, where those are.

    Args:
        logits: `(B, 65, h, w)`, any float type.
        descriptor_maps: `(B, h, w, D)`, any float type, not normalised.
        settings: How to decode.
        threshold: Rows that score no more than this may be left out at the end.
    """
    if logits.device.type == "cpu":
        return decode_arrays(logits.float().numpy(), descriptor_maps.float().numpy(), settings, threshold)
    return decode(logits, descriptor_maps, settings).to_host()


class StepwiseDetector:
    """The network, and when its outputs are there the decoding."""

    def __init__(self, engine: Engine, settings: DecodeSettings) -> None:
        self._engine = engine
        self._settings = settings

    @property
    def in_flight(self) -> int:
        """As many as the engine takes."""
        return self._engine.in_flight

    @property
    def takes_bgr(self) -> bool:
        """Grey only."""
        return False

    def submit(self, pictures: Sequence[NDArray[np.uint8]], threshold: float) -> Callable[[], Finding]:
        """Begin with the network; decoding begins when the results are asked for."""
        wait = self._engine.submit(np.stack(pictures))

        def results() -> Finding:
            outputs = wait()
            network_done_s = time.perf_counter()
            return Finding(decode_outputs(*outputs, self._settings, threshold), network_done_s)

        return results


class CudaGraphDetector:
    """Both at once; nothing tells when the network's part of it ends."""

    def __init__(self, graphed: CudaGraphKeypoints) -> None:
        self._graphed = graphed

    @property
    def in_flight(self) -> int:
        """As many as there are buffers."""
        return self._graphed.in_flight

    @property
    def takes_bgr(self) -> bool:
        """The device turns it grey in no time."""
        return True

    def submit(self, pictures: Sequence[NDArray[np.uint8]], threshold: float) -> Callable[[], Finding]:
        """Begin with all of it; every row comes back, whatever the threshold."""
        wait = self._graphed.submit(pictures)

        def results() -> Finding:
            arrays = wait()
            return Finding(arrays, time.perf_counter())

        return results
