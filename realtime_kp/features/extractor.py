"""The interface of a keypoint extractor, which is what the pipeline uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.frame import Mask
from realtime_kp.keypoints import Keypoints


@dataclass(frozen=True, slots=True)
class Extraction:
    """Keypoints of one image and the times that their computation took, in milliseconds.

    On an NVIDIA GPU one CUDA graph contains network and decoding: `network_ms` is the time of both, and
    `keypoints_ms` that of copying the results.
    """

    keypoints: Keypoints
    resize_ms: float
    network_ms: float
    keypoints_ms: float


Results = Callable[[], list[Extraction]]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model in use.

    Attributes:
        model: Name of the weights.
        revision: Resolved commit of a hub model, else None.
        licence: Licence of the weights, as far as known.
        device: `cpu`, `cuda:N` or `mps`.
        engine: `torch` or `openvino`.
        precision: Precision of the network: `fp32`, `bf16`, `fp16` or `int8`.
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
    """A keypoint extractor as the pipeline uses it; `SuperPoint` is the implementation."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def info(self) -> ModelInfo:
        """The model in use; valid between enter and exit."""
        ...

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """Input size of the network for a source size, width and height."""
        ...

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        """Compile and warm up for a source size.

        Args:
            source_wh: Width and height of the source.
            interval_s: Interval between frames of the source, where it is known.
            batch: Number of frames per run.
        """
        ...

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        ...

    def submit(
        self,
        images_bgr: Sequence[NDArray[np.uint8]],
        keypoint_threshold: float | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> Results:
        """Start a run on a batch of images of one size.

        Args:
            images_bgr: `(H, W, 3) uint8` each.
            keypoint_threshold: Replaces the configured one.
            masks: `(H, W)` each, 0 where there must be no keypoint; None masks nothing.

        Returns:
            A callable that waits for the keypoints.
        """
        ...


def submit_masked(
    extractor: Extractor,
    images_bgr: Sequence[NDArray[np.uint8]],
    keypoint_threshold: float | None,
    masks: Sequence[Mask | None] | None,
) -> Results:
    """Start a run with masks; where nothing is masked, extractors that take no masks serve as well."""
    if masks is None or all(mask is None for mask in masks):
        return extractor.submit(images_bgr, keypoint_threshold)
    return extractor.submit(images_bgr, keypoint_threshold, masks)
