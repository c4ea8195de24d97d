"""Selection of the model by speed: the larger one where it keeps up with the source, else the smaller one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.features.extractor import ModelInfo, Results
from realtime_kp.features.superpoint import SuperPoint

log = logging.getLogger(__name__)

_TRIALS = 3


class ModelSelectingExtractor:
    """Loads the larger model; replaces it if the warm-up shows it slower than the source.

    On GPUs the larger one is always used.

    Args:
        config: All settings but the model.
        large: A value of `--model`.
        small: The same.
    """

    def __init__(self, config: SuperPointConfig, large: str = "base", small: str = "small") -> None:
        self._config = config
        self._large = large
        self._small = small
        self._stack = ExitStack()
        self._active = SuperPoint(replace(config, model=large))

    def __enter__(self) -> Self:
        self._stack.enter_context(self._active)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def info(self) -> ModelInfo:
        """The model in use; valid between enter and exit."""
        return self._active.info

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """Input size of the network for a source size, width and height."""
        return self._active.network_size(source_wh)

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        """Warm up for a source size, and select the model.

        Args:
            source_wh: Width and height of the source.
            interval_s: Interval between frames of the source; None keeps the larger model.
            batch: Number of frames per run.
        """
        self._active.warm_up(source_wh, batch=batch)
        if interval_s is None or not self.info.device.startswith("cpu"):
            return
        took_s = self._time(source_wh)
        if took_s <= interval_s:
            return
        log.info(
            "model %s: %s takes %.0f ms a frame here, the source gives one every %.0f ms",
            self._small,
            self._large,
            took_s * 1e3,
            interval_s * 1e3,
        )
        self._stack.close()
        self._active = self._stack.enter_context(SuperPoint(replace(self._config, model=self._small)))
        self._active.warm_up(source_wh, batch=batch)

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        return self._active.in_flight

    def submit(
        self, images_bgr: Sequence[NDArray[np.uint8]], keypoint_threshold: float | None = None
    ) -> Results:
        """Start a run on images of one size; returns a callable that waits for the keypoints."""
        return self._active.submit(images_bgr, keypoint_threshold)

    def _time(self, source_wh: tuple[int, int]) -> float:
        blank = np.zeros((source_wh[1], source_wh[0], 3), np.uint8)
        took_s = []
        for _ in range(_TRIALS):
            started_s = time.perf_counter()
            self._active.extract(blank)
            took_s.append(time.perf_counter() - started_s)
        return min(took_s)
