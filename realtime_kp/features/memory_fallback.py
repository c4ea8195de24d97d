"""Fallback when a GPU runs out of memory: smaller batches, then the CPU."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ModelError, first_line
from realtime_kp.features.device_memory import is_out_of_memory
from realtime_kp.features.extractor import Extraction, Extractor, ModelInfo, Results, submit_masked
from realtime_kp.frame import Mask

log = logging.getLogger(__name__)

T = TypeVar("T")


class MemoryFallbackExtractor:
    """An extractor that continues when its device runs out of memory.

    A batch that does not fit is halved, and larger ones are not tried again. When a single frame does not
    fit, the second extractor takes over for the rest of the run. Each of the two is logged once.

    Args:
        first: The extractor to use as long as possible.
        make_second: Creates the extractor for the CPU.
    """

    def __init__(self, first: Extractor, make_second: Callable[[], Extractor]) -> None:
        self._now = first
        self._make_second = make_second
        self._fell_back = False
        self._largest: int | None = None

    @property
    def info(self) -> ModelInfo:
        """The model in use."""
        return self._now.info

    def __enter__(self) -> Self:
        if _attempt(self._now.__enter__) is None:
            self._fall_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._now.__exit__(kind, error, trace)

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """Input size of the network for a source size, width and height."""
        return self._now.network_size(source_wh)

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        """Warm up for a source size; for single frames where the batch does not fit."""

        def warmed(count: int) -> bool:
            self._now.warm_up(source_wh, interval_s, count)
            return True

        if _attempt(lambda: warmed(batch)) is None and (batch == 1 or _attempt(lambda: warmed(1)) is None):
            self._fall_back()
            warmed(1)

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        return self._now.in_flight

    def submit(
        self,
        images_bgr: Sequence[NDArray[np.uint8]],
        keypoint_threshold: float | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> Results:
        """Start a run on images of one size, as one batch or as several smaller ones."""
        by, begun = self._now, None
        if self._largest is None or len(images_bgr) <= self._largest:
            begun = _attempt(lambda: submit_masked(by, images_bgr, keypoint_threshold, masks))

        def results() -> list[Extraction]:
            found = None if begun is None or by is not self._now else _attempt(begun)
            return self._piecemeal(images_bgr, keypoint_threshold, masks) if found is None else found

        return results

    def _piecemeal(
        self,
        images_bgr: Sequence[NDArray[np.uint8]],
        keypoint_threshold: float | None,
        masks: Sequence[Mask | None] | None,
    ) -> list[Extraction]:
        """Process a batch that did not fit, in smaller parts."""
        count = len(images_bgr)
        if count == 1:
            given = (images_bgr, keypoint_threshold, masks)
            while (found := _attempt(lambda: submit_masked(self._now, *given)())) is None:
                self._fall_back()
            return found
        if self._largest is None:
            log.warning(
                "%s is out of memory with %d frames at once: using smaller batches", self.info.device, count
            )
        half = self._largest = max(1, min(count // 2, self._largest or count))
        found = []
        for i in range(0, count, half):
            part = None if masks is None else masks[i : i + half]
            found += self.submit(images_bgr[i : i + half], keypoint_threshold, part)()
        return found

    def _fall_back(self) -> None:
        if self._fell_back:
            raise ModelError("not enough memory for one frame, neither on the device nor on the CPU")
        self._fell_back = True
        log.warning("the device is out of memory for one frame: falling back to the CPU")
        self._now.__exit__(None, None, None)
        # Other threads may read `info` meanwhile: the first extractor stays until the second one is ready.
        self._now = self._make_second().__enter__()


def _attempt(work: Callable[[], T]) -> T | None:
    """Result of `work`; None where the device ran out of memory.

    Callers must react outside an `except` block, in which the traceback would still hold the memory.
    """
    try:
        return work()
    except RuntimeError as exc:
        if not is_out_of_memory(exc):
            if not _has_cuda():
                raise
            raise ModelError(
                f"the device failed: {first_line(exc)}; use --device cpu to run without it"
            ) from exc
    if _has_cuda():
        import torch

        torch.cuda.empty_cache()
    return None


def _has_cuda() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())
