"""SuperPoint: from a BGR image to keypoints in its pixels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig, config_or_keywords
from realtime_kp.config.checks import require
from realtime_kp.features.checks import check_outputs
from realtime_kp.features.extractor import Extraction, ModelInfo, Results
from realtime_kp.features.masks import checked_masks, network_masks
from realtime_kp.features.resize import common_size, network_size, to_network, to_source
from realtime_kp.frame import Mask, masked_out
from realtime_kp.keypoints import Keypoints

if TYPE_CHECKING:
    import torch

    from realtime_kp.features.decode.settings import DecodeSettings, HostArrays
    from realtime_kp.features.detection import KeypointDetector
    from realtime_kp.features.engines.interface import Engine

_Part = TypeVar("_Part")


class SuperPoint:
    """Detects keypoints. Entering loads the weights and prepares the engine; exiting frees both.

    Keyword arguments are the fields of `SuperPointConfig`; alternatively `config` holds all of them. With
    `latency=False` several runs may be in flight, for a higher throughput at a higher latency.

    Example:
        with SuperPoint(resize="640", max_keypoints=512) as superpoint:
            keypoints = superpoint(image_bgr)

    Raises:
        ConfigError: An argument is unknown or invalid.
    """

    def __init__(
        self, config: SuperPointConfig | None = None, *, latency: bool = True, **settings: Any
    ) -> None:
        self._latency = latency
        self.config = config_or_keywords(SuperPointConfig, config, settings, "SuperPoint")
        self._engine: Engine | None = None
        self._finder: KeypointDetector | None = None
        self._decode: DecodeSettings | None = None
        self._info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo:
        """The model in use; valid between enter and exit."""
        return _loaded(self._info)

    def __enter__(self) -> Self:
        from realtime_kp.features.decode.settings import DecodeSettings
        from realtime_kp.features.detection import make_detector
        from realtime_kp.features.engines.selection import choose_engine, make_engine
        from realtime_kp.features.models import find_model

        choice = choose_engine(self.config)
        model = find_model(self.config.model, self.config.revision)
        self._engine = make_engine(model, choice, latency=self._latency)
        self._decode = DecodeSettings(
            max_keypoints=self.config.max_keypoints,
            nms_radius=self.config.nms_radius,
            border=model.border_px,
            subpixel=self.config.subpixel,
            descriptor_grid=self.config.descriptor_grid,
        )
        self._finder = make_detector(
            self._engine, self._decode, latency=self._latency, fused=self.config.compile
        )
        self._info = ModelInfo(
            model.ref.name,
            model.revision,
            model.ref.licence,
            choice.device,
            choice.engine,
            choice.precision,
            model.descriptor_dim,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = self._finder = None

    def __call__(self, image_bgr: NDArray[np.uint8], mask: Mask | None = None) -> Keypoints:
        """Keypoints of one `(H, W, 3) uint8` BGR image, in its pixels.

        Args:
            image_bgr: The image.
            mask: `(H, W) uint8` or `bool`; there are no keypoints where it is 0, and those elsewhere may be
                as many as without it.

        Raises:
            ArgumentError: It is another kind of image or mask, or none.
        """
        return self.submit([image_bgr], masks=None if mask is None else [mask])()[0].keypoints

    def extract_batch(self, images_bgr: Sequence[NDArray[np.uint8]]) -> list[Keypoints]:
        """Keypoints of several images of one size, run as one batch.

        Raises:
            ArgumentError: The images differ in size, or one is not `(H, W, 3) uint8`.
        """
        if isinstance(images_bgr, list | tuple) and not images_bgr:
            return []
        return [found.keypoints for found in self.submit(images_bgr)()]

    def extract(self, image_bgr: NDArray[np.uint8], keypoint_threshold: float | None = None) -> Extraction:
        """Keypoints of one image, with timings.

        Args:
            image_bgr: `(H, W, 3) uint8`.
            keypoint_threshold: Replaces the configured one.
        """
        return self.submit([image_bgr], keypoint_threshold)()[0]

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        return _loaded(self._finder).in_flight

    def submit(
        self,
        images_bgr: Sequence[NDArray[np.uint8]],
        keypoint_threshold: float | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> Results:
        """Start a run on a batch of images of one size.

        Args:
            images_bgr: `(H, W, 3) uint8` each, at least one.
            keypoint_threshold: Replaces the configured one, 0 to 1.
            masks: `(H, W)` each, 0 where there must be no keypoint; None masks nothing.

        Returns:
            A callable that waits for the keypoints.

        Raises:
            ConfigError: The threshold is not 0 to 1.
            ArgumentError: There is no image, they differ in size, or one is not `(H, W, 3) uint8`.
        """
        started_s = time.perf_counter()
        finder = _loaded(self._finder)
        source_wh = common_size(images_bgr)
        masks, size_wh = checked_masks(images_bgr, masks), self.network_size(source_wh)
        as_they_are = finder.takes_bgr and masks is None and size_wh == source_wh
        pictures = images_bgr if as_they_are else self._grey(images_bgr, source_wh)
        resized_s = time.perf_counter()
        threshold = self._threshold(keypoint_threshold)
        wait = finder.submit(pictures, threshold, network_masks(masks, size_wh))

        def results() -> list[Extraction]:
            finding = wait()
            ran_s = finding.network_done_s
            found = _in_source(finding.arrays, source_wh, size_wh, threshold, masks)
            done_s = time.perf_counter()
            share = 1e3 / len(found)
            times = ((resized_s - started_s) * share, (ran_s - resized_s) * share, (done_s - ran_s) * share)
            return [Extraction(keypoints, *times) for keypoints in found]

        return results

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """Input size of the network for a source size, width and height."""
        return network_size(source_wh, self.config.resize)

    def set_resize(self, resize: str) -> None:
        """Change the input size of the network while it is loaded, for the runs that follow.

        Args:
            resize: As in `SuperPointConfig`.

        Raises:
            ConfigError: It is not a size.
        """
        self.config = replace(self.config, resize=resize)

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        """Compile and warm up for a source size and a batch."""
        blank = np.zeros((source_wh[1], source_wh[0], 3), np.uint8)
        for _ in range(2):
            self.submit([blank] * batch)()

    def prepare(self, images_bgr: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """First step: grey images at the input size of the network, `(B, H, W) uint8`.

        Raises:
            ArgumentError: There is no image, they differ in size, or one is not `(H, W, 3) uint8`.
        """
        return np.stack(self._grey(images_bgr, common_size(images_bgr)))

    def _grey(
        self, images_bgr: Sequence[NDArray[np.uint8]], source_wh: tuple[int, int]
    ) -> list[NDArray[np.uint8]]:
        size_wh = self.network_size(source_wh)
        return [to_network(image, size_wh) for image in images_bgr]

    def run(self, grey: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        """Second step: the network, from the result of `prepare` to the outputs of both heads.

        They are complete when this returns, on a GPU as well, and may be valid until the next run only.
        """
        import torch

        logits, descriptor_map = _loaded(self._engine).submit(grey)()
        return torch.as_tensor(logits), torch.as_tensor(descriptor_map)

    def decode(
        self,
        logits: torch.Tensor,
        descriptor_map: torch.Tensor,
        *,
        source_wh: tuple[int, int],
        keypoint_threshold: float | None = None,
    ) -> list[Keypoints]:
        """Third step: from the outputs of both heads to keypoints in pixels of the source.

        Args:
            logits: As `run` returns them.
            descriptor_map: The same.
            source_wh: Width and height of the images.
            keypoint_threshold: Replaces the configured one.
        """
        from realtime_kp.features.detection import decode_outputs

        threshold = self._threshold(keypoint_threshold)
        arrays = decode_outputs(logits, descriptor_map, _loaded(self._decode), threshold)
        return _in_source(arrays, source_wh, self.network_size(source_wh), threshold)

    def _threshold(self, asked: float | None) -> float:
        if asked is None:
            return self.config.keypoint_threshold
        require(isinstance(asked, Real) and 0 <= asked <= 1, "keypoint_threshold must be 0 to 1", asked)
        return asked


def _in_source(
    arrays: HostArrays,
    source_wh: tuple[int, int],
    size_wh: tuple[int, int],
    threshold: float,
    masks: Sequence[Mask | None] | None = None,
) -> list[Keypoints]:
    """Keypoints that score above the threshold and are not masked out, in pixels of the source."""
    found = []
    # NaN in one number of a descriptor, or of the four that it is interpolated from, makes all of it NaN.
    check_outputs(arrays[1], arrays[2][..., 0])
    for number, (xy, scores, descriptors) in enumerate(zip(*arrays, strict=True)):
        # Sorted best first, those above the threshold are a leading slice. Score 0 marks an unused row.
        count = int(np.count_nonzero((scores > threshold) & (scores > 0)))
        places = to_source(xy[:count], source_wh, size_wh)
        keypoints = Keypoints(places, scores[:count].copy(), descriptors[:count].copy())
        if masks is not None:
            # Refinement to a fraction of a pixel may have crossed the edge.
            keypoints = keypoints.rows(np.flatnonzero(~masked_out(masks[number], places)))
        found.append(keypoints)
    return found


def _loaded(part: _Part | None) -> _Part:
    if part is None:
        raise RuntimeError("SuperPoint is not loaded: use it as `with SuperPoint(...) as superpoint:`")
    return part
