"""On a GPU: the network and the decoding of its outputs as one CUDA graph, on a stream of its own.

At one frame at a time launching some 80 kernels takes longer than running them; a graph launches them at
once. Memory that both sides see is pinned, so that copies pass beside the work, and nothing but the wait for
a run's own event makes the host stand still.
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
    """What one run holds on the host's side until its results are fetched."""

    pixels: torch.Tensor
    packed: torch.Tensor
    done: torch.cuda.Event | None

    def wait(self) -> None:
        if self.done is not None:
            self.done.synchronize()


@dataclass(frozen=True, slots=True)
class _Program:
    """Fixed places on the device, and what fills `packed` from `pixels`."""

    pixels: torch.Tensor
    packed: torch.Tensor
    replay: Callable[[], None]
    slots: deque[_Slot]


class CudaGraphKeypoints:
    """From pictures to keypoints in one go; one graph a batch shape, the latest four are kept.

    A batch that is smaller than one before, as at the end of a file, runs in the graph of that one. What
    cannot be captured, or does not give what the same steps give one by one, runs one by one, and so does all
    that comes after. On a CPU, where there are no graphs, everything does: same buffers, same results.

    Args:
        network: `(B, H, W) uint8` on the device to logits and descriptor map, as `SuperPointNetwork`.
        settings: How to decode.
        device: Where `network` runs.
        in_flight: How many runs may be begun before the first one's results are asked for.
        fused: Let `torch.compile` fuse all of it, where it can; takes some seconds a batch shape.
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
        """How many runs may be begun before the first one's results are asked for."""
        return self._in_flight

    def submit(self, pictures: Sequence[NDArray[np.uint8]]) -> Callable[[], HostArrays]:
        """Begin a run.

        Args:
            pictures: `(H, W) uint8` grey or `(H, W, 3) uint8` BGR each, all of one shape.

        Returns:
            Waits for places, scores and descriptors, as `DecodedBatch.to_host` has them; they live until
            `in_flight` further runs are begun.
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
        """Room for a batch: a shape of its own costs more to prepare than a few void rows to run."""
        roomy = [other for other in self._programs if other[1:] == shape[1:] and other[0] > shape[0] > 1]
        return shape if shape in self._programs or not roomy else min(roomy)

    @contextmanager
    def _abandoned_on_failure(self) -> Iterator[None]:
        """After an error of the device, which lasts, freeing pinned memory would end the process: keep it."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            # One reference too many outlives the interpreter's own end as well.
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
        # Fastest algorithms are chosen by trial: the shape stays, so the trial pays.
        trials = torch.backends.cudnn.flags(enabled=True, benchmark=True)
        with torch.inference_mode(), self._on_stream(), trials:
            # Drawn on the host: a capture that failed may leave the device's generator unusable.
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
        """A graph that gives for `pixels` what is expected; None where there cannot be one."""
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may use the device meanwhile: only this one's calls are forbidden to wait.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                packed = self._find(pixels)
            graph.replay()
            stream.synchronize()
        except RuntimeError as exc:
            log.info("no CUDA graph: the steps run one by one (%s)", exc)
            return None
        if not _same_keypoints(packed, expected):
            log.warning("the CUDA graph gave other keypoints than its steps: they run one by one")
            return None
        return packed, graph.replay

    def _fused_or_not(self, pixels: torch.Tensor) -> torch.Tensor:
        if self._fused is not None:
            try:
                return self._fused(pixels)
            except torch.OutOfMemoryError:
                raise
            except Exception as exc:  # each back end of torch.compile has errors of its own
                log.warning("torch.compile fails, the steps run unfused: %s", first_line(exc))
                self._fused = None
        return self._step_by_step(pixels)

    def _step_by_step(self, pixels: torch.Tensor) -> torch.Tensor:
        grey = pixels if pixels.dim() == 3 else grey_of(pixels)
        return decode(*self._network(grey), self._settings).packed()


def _same_keypoints(packed: torch.Tensor, expected: torch.Tensor) -> bool:
    """Equal scores down the ranks; places may trade ranks where scores tie."""
    return torch.allclose(packed[..., 2], expected[..., 2], atol=_SAME)
