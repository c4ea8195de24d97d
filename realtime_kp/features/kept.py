"""A network that stays loaded from one run to the next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.features.extractor import Extractor, ModelInfo, Results
from realtime_kp.frame import Mask


class KeptExtractor:
    """Loads an extractor when it is first entered, and releases it in `close`, or after an exception.

    One run at a time may use it.

    Args:
        extractor: Is entered and exited.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._stack = ExitStack()
        self._loaded = False

    def __enter__(self) -> Self:
        if not self._loaded:
            self._stack.enter_context(self._extractor)
            self._loaded = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.close()

    def close(self) -> None:
        """Release it; entering loads it again."""
        self._loaded = False
        self._stack.close()

    @property
    def info(self) -> ModelInfo:
        """The model in use."""
        return self._extractor.info

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """As of the extractor."""
        return self._extractor.network_size(source_wh)

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        """As of the extractor."""
        self._extractor.warm_up(source_wh, interval_s, batch)

    @property
    def in_flight(self) -> int:
        """As of the extractor."""
        return self._extractor.in_flight

    def submit(
        self,
        images_bgr: Sequence[NDArray[np.uint8]],
        keypoint_threshold: float | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> Results:
        """As of the extractor."""
        return self._extractor.submit(images_bgr, keypoint_threshold, masks)
