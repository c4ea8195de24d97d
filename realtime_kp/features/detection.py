"""Network and decoding together: from images of the network size to keypoints in network pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ModelError, first_line
from realtime_kp.features.decode.numpy_decoder import decode_arrays
from realtime_kp.features.decode.settings import DecodeSettings, HostArrays
from realtime_kp.features.device_memory import is_out_of_memory
from realtime_kp.features.engines.interface import Engine

if TYPE_CHECKING:
    import torch

    from realtime_kp.features.cuda_graph import CudaGraphKeypoints

_GRAPHS_IN_FLIGHT = 3


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """Keypoints of a batch in host memory.

    Attributes:
        arrays: Positions, scores and descriptors, as `DecodedBatch.to_host` returns them.
        network_done_s: When the network had finished, `time.perf_counter`; with a CUDA graph, which contains
            the decoding, when the run had finished.
    """

    arrays: HostArrays
    network_done_s: float


class KeypointDetector(Protocol):
    """Runs the network and decodes its outputs."""

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        ...

    @property
    def takes_bgr(self) -> bool:
        """Whether images may be BGR instead of grey."""
        ...

    def submit(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        threshold: float,
        masks: NDArray[np.uint8] | None = None,
    ) -> Callable[[], DetectionResult]:
        """Start a run.

        Args:
            pictures: Images of the network size: `(H, W) uint8` grey, or `(H, W, 3) uint8` where BGR is
                accepted and there are no masks.
            threshold: Keypoints that do not score above it may be omitted.
            masks: `(B, H, W) uint8`, 0 where there must be no keypoint; None masks nothing.

        Returns:
            A callable that waits for the keypoints.
        """
        ...


def make_detector(
    engine: Engine, settings: DecodeSettings, *, latency: bool = True, fused: bool = False
) -> KeypointDetector:
    """The fastest detector for an engine.

    Args:
        engine: Runs the network.
        settings: Settings of decoding.
        latency: Optimise for the latency of a single run; else for throughput, with several runs in flight.
        fused: Fuse network and decoding with `torch.compile`, on NVIDIA GPUs.
    """
    if engine.choice.engine == "torch" and engine.choice.device.startswith("cuda"):
        from realtime_kp.features.cuda_graph import CudaGraphKeypoints
        from realtime_kp.features.engines.torch_engine import TorchEngine

        assert isinstance(engine, TorchEngine)
        in_flight = 1 if latency else _GRAPHS_IN_FLIGHT
        graphed = CudaGraphKeypoints(engine.network, settings, engine.device, in_flight, fused=fused)
        return CudaGraphDetector(graphed, StepwiseDetector(engine, settings))
    return StepwiseDetector(engine, settings)


def decode_outputs(
    logits: torch.Tensor | NDArray[np.float32],
    descriptor_maps: torch.Tensor | NDArray[np.float32],
    settings: DecodeSettings,
    threshold: float,
    masks: NDArray[np.uint8] | None = None,
) -> HostArrays:
    """Decode the outputs of both heads on their device.

    Args:
        logits: `(B, 65, h, w)`, any float type.
        descriptor_maps: `(B, h, w, D)`, any float type, not normalised.
        settings: Settings of decoding.
        threshold: Keypoints that do not score above it may be omitted.
        masks: `(B, 8h, 8w) uint8`, 0 where there must be no keypoint; None masks nothing.
    """
    if isinstance(logits, np.ndarray) or isinstance(descriptor_maps, np.ndarray):
        return decode_arrays(np.asarray(logits), np.asarray(descriptor_maps), settings, threshold, masks)
    if logits.device.type == "cpu":
        return decode_arrays(
            logits.float().numpy(), descriptor_maps.float().numpy(), settings, threshold, masks
        )
    from realtime_kp.features.decode.torch_decoder import decode

    on_device = None
    if masks is not None:
        import torch

        on_device = torch.from_numpy(masks).to(logits.device)
    return decode(logits, descriptor_maps, settings, on_device).to_host()


class StepwiseDetector:
    """Runs the network, then the decoding when the results are requested."""

    def __init__(self, engine: Engine, settings: DecodeSettings) -> None:
        self._engine = engine
        self._settings = settings

    @property
    def in_flight(self) -> int:
        """The limit of the engine."""
        return self._engine.in_flight

    @property
    def takes_bgr(self) -> bool:
        """Grey only."""
        return False

    def submit(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        threshold: float,
        masks: NDArray[np.uint8] | None = None,
    ) -> Callable[[], DetectionResult]:
        """Start the network; see `KeypointDetector`."""
        grey = np.stack(pictures)
        with self._failures_told(grey.shape):
            wait = self._engine.submit(grey)

        def results() -> DetectionResult:
            with self._failures_told(grey.shape):
                logits, descriptor_maps = wait()
            network_done_s = time.perf_counter()
            arrays = decode_outputs(logits, descriptor_maps, self._settings, threshold, masks)
            return DetectionResult(arrays, network_done_s)

        return results

    @contextmanager
    def _failures_told(self, shape: tuple[int, ...]) -> Iterator[None]:
        try:
            yield
        except RuntimeError as exc:
            if is_out_of_memory(exc):
                raise
            engine, size = self._engine.choice.engine, " x ".join(map(str, shape))
            raise ModelError(
                f"the engine {engine} cannot run the network on images of {size}: {first_line(exc)}; try a "
                "smaller --resize or --batch"
            ) from exc


class CudaGraphDetector:
    """Runs both as one CUDA graph; pictures with masks step by step."""

    def __init__(self, graphed: CudaGraphKeypoints, stepwise: StepwiseDetector) -> None:
        self._graphed = graphed
        self._stepwise = stepwise

    @property
    def in_flight(self) -> int:
        """The number of buffers."""
        return self._graphed.in_flight

    @property
    def takes_bgr(self) -> bool:
        """BGR is converted to grey on the device."""
        return True

    def submit(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        threshold: float,
        masks: NDArray[np.uint8] | None = None,
    ) -> Callable[[], DetectionResult]:
        """Start network and decoding; see `KeypointDetector`. No keypoints are omitted."""
        if masks is not None:
            return self._stepwise.submit(pictures, threshold, masks)
        wait = self._graphed.submit(pictures)

        def results() -> DetectionResult:
            arrays = wait()
            return DetectionResult(arrays, time.perf_counter())

        return results
