"""SuperPoint from a BGR image to keypoints in its pixels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig, config_or_keywords
from realtime_kp.features.resize import network_size, to_network, to_source
from realtime_kp.keypoints import Keypoints

if TYPE_CHECKING:
    from realtime_kp.features.decode import DecodeSettings
    from realtime_kp.features.engines import Engine


@dataclass(frozen=True, slots=True)
class Extraction:
    """Keypoints of one image and what finding them took, in milliseconds."""

    keypoints: Keypoints
    resize_ms: float
    network_ms: float
    keypoints_ms: float


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

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None) -> None:
        """Compile for a source size before its first frame.

        Args:
            source_wh: Width and height of the source.
            interval_s: From one frame of the source to the next, where that is known.
        """
        ...

    def extract(self, image_bgr: NDArray[np.uint8], keypoint_threshold: float | None = None) -> Extraction:
        """Keypoints of one image, with timings."""
        ...


class SuperPoint:
    """Finds keypoints. Entering loads the weights and prepares the engine; exiting frees both.

    Keyword arguments are the fields of `SuperPointConfig`, or give the whole `config`.

    Example:
        with SuperPoint(resize="640", max_keypoints=512) as superpoint:
            keypoints = superpoint(image_bgr)

    Raises:
        ConfigError: An argument is unknown or impossible.
    """

    def __init__(self, config: SuperPointConfig | None = None, **settings: Any) -> None:
        self.config = config_or_keywords(SuperPointConfig, config, settings, "SuperPoint")
        self._engine: Engine | None = None
        self._decode: DecodeSettings | None = None
        self._info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo:
        """What is running; valid between enter and exit."""
        if self._info is None:
            raise RuntimeError("SuperPoint is not loaded: use it as `with SuperPoint(...) as superpoint:`")
        return self._info

    def __enter__(self) -> Self:
        from realtime_kp.features.decode import DecodeSettings
        from realtime_kp.features.engines import choose_engine, make_engine
        from realtime_kp.features.network import SuperPointNetwork
        from realtime_kp.features.weights_store import load_weights

        choice = choose_engine(self.config)
        weights = load_weights(self.config.model, self.config.revision)
        self._engine = make_engine(SuperPointNetwork(weights.model), choice, weights.ref.int8_file)
        self._decode = DecodeSettings(
            max_keypoints=self.config.max_keypoints,
            nms_radius=self.config.nms_radius,
            border=weights.model.config.border_removal_distance,
            subpixel=self.config.subpixel,
            descriptor_grid=self.config.descriptor_grid,
        )
        self._info = ModelInfo(
            weights.ref.name,
            weights.revision,
            weights.ref.licence,
            choice.device,
            choice.engine,
            choice.precision,
            weights.model.config.descriptor_decoder_dim,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def __call__(self, image_bgr: NDArray[np.uint8]) -> Keypoints:
        """Keypoints of one `(H, W, 3) uint8` BGR image, in its pixels."""
        return self.extract(image_bgr).keypoints

    def extract_batch(self, images_bgr: Sequence[NDArray[np.uint8]]) -> list[Keypoints]:
        """Keypoints of several images of one size, run as one batch.

        Raises:
            ValueError: The images differ in size, or one is no `(H, W, 3) uint8`.
        """
        return [found.keypoints for found in self._extract(images_bgr, None)]

    def extract(self, image_bgr: NDArray[np.uint8], keypoint_threshold: float | None = None) -> Extraction:
        """Keypoints of one image, with timings.

        Args:
            image_bgr: `(H, W, 3) uint8`.
            keypoint_threshold: Instead of the configured one.
        """
        return self._extract([image_bgr], keypoint_threshold)[0]

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """The network's input size for a source size."""
        return network_size(source_wh, self.config.resize)

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None) -> None:
        """Compile for a source size before its first frame."""
        blank = np.zeros((source_wh[1], source_wh[0], 3), np.uint8)
        for _ in range(2):
            self.extract(blank)

    def _extract(
        self, images_bgr: Sequence[NDArray[np.uint8]], keypoint_threshold: float | None
    ) -> list[Extraction]:
        if self._engine is None or self._decode is None:
            raise RuntimeError("SuperPoint is not loaded: use it as `with SuperPoint(...) as superpoint:`")
        if not images_bgr:
            return []
        from realtime_kp.features.decode import decode

        source_wh = _common_size(images_bgr)
        started_s = time.perf_counter()
        size_wh = self.network_size(source_wh)
        grey = np.stack([to_network(image, size_wh) for image in images_bgr])
        resized_s = time.perf_counter()
        logits, descriptor_map = self._engine.run(grey)
        _synchronise(logits)
        ran_s = time.perf_counter()
        batch = decode(logits, descriptor_map, self._decode)
        xy, scores, descriptors = batch.to_host()
        threshold = self.config.keypoint_threshold if keypoint_threshold is None else keypoint_threshold
        found = []
        for i in range(len(images_bgr)):
            # Sorted best first: what passes the threshold is a leading slice. Score 0 marks a void row.
            count = int(np.count_nonzero((scores[i] > threshold) & (scores[i] > 0)))
            places = to_source(xy[i, :count], source_wh, size_wh)
            found.append(Keypoints(places, scores[i, :count].copy(), descriptors[i, :count].copy()))
        done_s = time.perf_counter()
        share = 1e3 / len(images_bgr)
        times = ((resized_s - started_s) * share, (ran_s - resized_s) * share, (done_s - ran_s) * share)
        return [Extraction(keypoints, *times) for keypoints in found]


def _common_size(images_bgr: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
    for image in images_bgr:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"an image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    sizes = {(image.shape[1], image.shape[0]) for image in images_bgr}
    if len(sizes) > 1:
        raise ValueError(f"the images of a batch must have one size, got {sorted(sizes)}")
    return sizes.pop()


def _synchronise(tensor: Any) -> None:
    """A timer that stops before the device has finished measures the launch, not the work."""
    import torch

    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)
    elif tensor.device.type == "mps":
        torch.mps.synchronize()
