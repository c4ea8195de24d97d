"""The interface of a keypoint extractor, which is what the pipeline uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Keypoints


@dataclass(frozen=True, slots=True)
class Extraction:
    """Keypoints of one image and what finding them took, in milliseconds.

    On an NVIDIA GPU one graph holds the network and the decoding of its outputs: `network_ms` is both.
    """

    keypoints: Keypoints
    resize_ms: float
    network_ms: float
    keypoints_ms: float


Results = Callable[[], list[Extraction]]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is running.

    Attributes:
        model: Name of the weights.
        revision: Resolved commit of a hub model, else None.
        licence: What is known of the weights' licence.
        device: `cpu`, `cuda:N` or `mps`.
        engine: `torch` or `openvino`.
        precision: Of the network: `fp32`, `bf16`, `fp16` or `int8`.
        descriptor_dim: Length of a descriptor.
    """

    model: str
    revision: str | None
    licence: str
    device: str
    engine: str
    precision: str
    descriptor_dim: int


class Extractor(Protocol):
    """What the pipeline asks of a keypoint network; `SuperPoint` is the real one."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def info(self) -> ModelInfo:
        """What is running; valid between enter and exit."""
        ...

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """The network's input size for a source size."""
        ...

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        """Compile for a source size before its first frame.

        Args:
            source_wh: Width and height of the source.
            interval_s: From one frame of the source to the next, where that is known.
            batch: How many frames will come at once.
        """
        ...

    @property
    def in_flight(self) -> int:
        """How many times `submit` may be called before the first of its results is asked for."""
        ...

    def submit(
        self, images_bgr: Sequence[NDArray[np.uint8]], keypoint_threshold: float | None = None
    ) -> Results:
        """Begin with images of one size, as a batch; calling what comes back waits for their keypoints.

        Args:
            images_bgr: `(H, W, 3) uint8` each.
            keypoint_threshold: Instead of the configured one.
        """
        ...
