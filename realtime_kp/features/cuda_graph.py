"""Network and decoding as one CUDA graph, on a stream of its own.

For a single frame, launching some 80 kernels takes longer than running them; a graph launches all at once.
Buffers on the host are pinned (page-locked), so that copies overlap with computation, and the host waits only
for the event of a run.
"""

from __future__ import annotations

import ctypes
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from realtime_kp.errors import first_line
from realtime_kp.features.decode.settings import DecodeSettings, HostArrays
from realtime_kp.features.decode.torch_decoder import decode, unpack
from realtime_kp.features.luma import grey_of

log = logging.getLogger(__name__)

_WARM_UPS = 3
_KEPT_SHAPES = 4
_SAME = 1e-3

Network = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class _Slot:
    """Pinned host buffers of one run, in use until its results were fetched."""

    pixels: torch.Tensor
    packed: torch.Tensor
    done: torch.cuda.Event | None

    def wait(self) -> None:
        if self.done is not None:
            self.done.synchronize()


@dataclass(frozen=True, slots=True)
class _Program:
    """Fixed device buffers of one batch shape, and the work that computes `packed` from `pixels`."""

    pixels: torch.Tensor
    packed: torch.Tensor
    replay: Callable[[], None]
    slots: deque[_Slot]


class CudaGraphKeypoints:
    """Computes keypoints from images with one CUDA graph per batch shape; the last four graphs are kept.

    A smaller batch, as at the end of a file, runs in the graph of a larger one of the same image size. If a
    graph cannot be captured, or its results differ from those of the same kernels launched separately, this
    batch shape and all later ones run without graphs. On a CPU nothing is captured, with the same buffers and
    results.

    Args:
        network: `(B, H, W) uint8` on the device to logits and descriptor map, as `KeypointNetwork`.
        settings: Settings of decoding.
        device: Device of `network`.
        in_flight: How many runs may be submitted before the results of the first one are requested.
        fused: Fuse network and decoding with `torch.compile` where it works; compiling takes seconds per
            batch shape.
    """

    def __init__(
        self,
        network: Network,
        settings: DecodeSettings,
        device: torch.device,
        in_flight: int = 1,
        *,
        fused: bool = False,
    ) -> None:
        self._network = network
        self._settings = settings
        self._device = device
        self._in_flight = in_flight
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._graphs_work = True
        self._find = self._fused_or_not if fused else self._step_by_step
        self._fused = torch.compile(self._step_by_step, dynamic=False) if fused else None
        self._programs: OrderedDict[tuple[int, ...], _Program] = OrderedDict()

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        return self._in_flight

    def submit(self, pictures: Sequence[NDArray[np.uint8]]) -> Callable[[], HostArrays]:
        """Start a run.

        Args:
            pictures: Images, `(H, W) uint8` grey or `(H, W, 3) uint8` BGR, all of one shape.

        Returns:
            A callable that waits for positions, scores and descriptors, as `DecodedBatch.to_host` returns
            them. They stay valid until `in_flight` further runs have been submitted.
        """
        rows = len(pictures)
        with self._abandoned_on_failure(), torch.inference_mode(), self._on_stream():
            program = self._program(self._shape_for((rows, *pictures[0].shape)))
            slot = program.slots[0]
            program.slots.rotate(-1)
            slot.wait()
            for row, picture in zip(slot.pixels.numpy(), pictures, strict=False):
                np.copyto(row, picture)
            program.pixels.copy_(slot.pixels, non_blocking=True)
            program.replay()
            slot.packed.copy_(program.packed, non_blocking=True)
            if slot.done is not None:
                slot.done.record()

        def results() -> HostArrays:
            with self._abandoned_on_failure():
                slot.wait()
            return unpack(slot.packed[:rows])

        return results

    def _shape_for(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The batch shape to run in: preparing a new one costs more than computing a few unused rows."""
        roomy = [other for other in self._programs if other[1:] == shape[1:] and other[0] > shape[0] > 1]
        return shape if shape in self._programs or not roomy else min(roomy)

    @contextmanager
    def _abandoned_on_failure(self) -> Iterator[None]:
        """Keep pinned memory after a device error, which is permanent: freeing it would abort the process."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            # The surplus reference also survives the end of the interpreter.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._programs))
            raise

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _program(self, shape: tuple[int, ...]) -> _Program:
        program = self._programs.get(shape)
        if program is None:
            program = self._prepare(shape)
            self._programs[shape] = program
            if len(self._programs) > _KEPT_SHAPES:
                self._programs.popitem(last=False)
        self._programs.move_to_end(shape)
        return program

    def _prepare(self, shape: tuple[int, ...]) -> _Program:
        pinned = self._device.type == "cuda"
        # cuDNN benchmarks its algorithms, which pays because the shape is fixed.
        trials = torch.backends.cudnn.flags(enabled=True, benchmark=True)
        with torch.inference_mode(), self._on_stream(), trials:
            # Random numbers from the host: a failed capture can leave the generator of the device unusable.
            pixels = torch.randint(256, shape, dtype=torch.uint8).to(self._device)
            for _ in range(_WARM_UPS if pinned else 1):
                packed = self._find(pixels)
            slots = deque(
                _Slot(
                    torch.empty(shape, dtype=torch.uint8, pin_memory=pinned),
                    torch.empty(packed.shape, pin_memory=pinned),
                    torch.cuda.Event() if pinned else None,  # type: ignore[no-untyped-call]
                )
                for _ in range(self._in_flight)
            )
            if self._stream is not None and self._graphs_work:
                captured = self._captured(pixels, packed, self._stream)
                if captured is not None:
                    return _Program(pixels, *captured, slots)
                self._graphs_work = False

            def run_one_by_one() -> None:
                packed.copy_(self._find(pixels))

            return _Program(pixels, packed, run_one_by_one, slots)

    def _captured(
        self, pixels: torch.Tensor, expected: torch.Tensor, stream: torch.cuda.Stream
    ) -> tuple[torch.Tensor, Callable[[], None]] | None:
        """Capture a graph and compare its results with those expected; None where either fails."""
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may use the device during the capture: only calls of this thread are restricted.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                packed = self._find(pixels)
            graph.replay()
            stream.synchronize()
        except RuntimeError as exc:
            log.info("CUDA graph capture failed, kernels are launched separately: %s", exc)
            return None
        if not _same_keypoints(packed, expected):
            log.warning("the CUDA graph gives other keypoints than separate kernels, which are used instead")
            return None
        return packed, graph.replay

    def _fused_or_not(self, pixels: torch.Tensor) -> torch.Tensor:
        if self._fused is not None:
            try:
                return self._fused(pixels)
            except torch.OutOfMemoryError:
                raise
            except Exception as exc:  # each back end of torch.compile has errors of its own
                log.warning("torch.compile failed, kernels are not fused: %s", first_line(exc))
                self._fused = None
        return self._step_by_step(pixels)

    def _step_by_step(self, pixels: torch.Tensor) -> torch.Tensor:
        grey = pixels if pixels.dim() == 3 else grey_of(pixels)
        return decode(*self._network(grey), self._settings).packed()


def _same_keypoints(packed: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether scores agree rank by rank; positions may differ where scores tie."""
    return torch.allclose(packed[..., 2], expected[..., 2], atol=_SAME)
