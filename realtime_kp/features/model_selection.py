"""Selection of model and input size by speed: the best with which live detections come often enough."""

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
from realtime_kp.features.extractor import Extraction, ModelInfo, Results
from realtime_kp.features.pace import LEAST_PER_S, Advice, Pace
from realtime_kp.features.resize import USUAL_SIZE, network_size
from realtime_kp.features.superpoint import SuperPoint

log = logging.getLogger(__name__)

_TRIALS = 3
_USUAL_INTERVAL_S = 1 / 30
_PROBE_SIZE = "320"
_SMALLER_SIZES = ("480", "320")
# Multiply-adds of base over those of small, of one size; narrow layers use a CPU less well than wide ones.
_LARGE_BY_SMALL = 4.8
_HOPELESS = 4.0


class ModelSelectingExtractor:
    """Selects model and input size when the size of the source is known, and the size again while running.

    The larger model is used on GPUs and where it keeps up with the source; a glance at the smaller one tells
    where it need not even be tried. The smaller one gets the largest input with which eight detections a
    second are made. Where other programs come and go, the input is made smaller or larger again; descriptors
    stay what they were, so that tracks go on. A size that the settings name is never changed.

    Args:
        config: All settings but the model.
        large: A value of `--model`.
        small: The same.
    """

    def __init__(self, config: SuperPointConfig, large: str = "base", small: str = "small") -> None:
        self._config = config
        self._large = large
        self._small = small
        self._sizes = (USUAL_SIZE, *_SMALLER_SIZES) if config.resize == "auto" else (config.resize,)
        self._place = 0
        self._pace = Pace()
        self._stack = ExitStack()
        self._active = SuperPoint(replace(config, model=small))
        self._selected = False

    def __enter__(self) -> Self:
        from realtime_kp.features.engines.selection import choose_device

        self._selected = choose_device(self._config.device) != "cpu"
        if self._selected:
            self._active = SuperPoint(replace(self._config, model=self._large))
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
        """Select model and size for a source, and warm up.

        Args:
            source_wh: Width and height of the source.
            interval_s: Interval between frames of the source; None where it is unknown, as of some cameras.
            batch: Number of frames per run.
        """
        if not self._selected:
            self._select(source_wh, _USUAL_INTERVAL_S if interval_s is None else interval_s, batch)
        self._active.warm_up(source_wh, batch=batch)

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        return self._active.in_flight

    def submit(
        self, images_bgr: Sequence[NDArray[np.uint8]], keypoint_threshold: float | None = None
    ) -> Results:
        """Start a run on images of one size; returns a callable that waits for the keypoints."""
        source_wh = (images_bgr[0].shape[1], images_bgr[0].shape[0])
        if not self._selected:
            self.warm_up(source_wh)
        started_s = time.perf_counter()
        wait = self._active.submit(images_bgr, keypoint_threshold)

        def results() -> list[Extraction]:
            found = wait()
            done_s = time.perf_counter()
            self._follow_pace((done_s - started_s) / len(found), done_s, source_wh)
            return found

        return results

    def _select(self, source_wh: tuple[int, int], interval_s: float, batch: int) -> None:
        self._selected = True
        small_s = self._probe(source_wh) / _pixels(source_wh, _PROBE_SIZE)
        costs_s = [small_s * _pixels(source_wh, size) for size in self._sizes]
        large_s = costs_s[0] * _LARGE_BY_SMALL
        if large_s <= _HOPELESS * interval_s:
            self._change(self._large, self._config.resize)
            self._active.warm_up(source_wh, batch=batch)
            large_s = self._time(source_wh)
            if large_s <= interval_s:
                return
        enough = [place for place, cost_s in enumerate(costs_s) if cost_s <= 1 / LEAST_PER_S]
        self._place = enough[0] if enough else len(self._sizes) - 1
        log.info(
            "model %s, input %s: %s takes %.0f ms a frame here, the source gives one every %.0f ms",
            self._small,
            self._sizes[self._place],
            self._large,
            large_s * 1e3,
            interval_s * 1e3,
        )
        self._change(self._small, self._sizes[self._place])

    def _follow_pace(self, took_s: float, done_s: float, source_wh: tuple[int, int]) -> None:
        """Change the size of the input where the small model has become too slow, or fast again."""
        if len(self._sizes) == 1 or self._active.config.model != self._small:
            return
        pixels = [_pixels(source_wh, size) for size in self._sizes]
        dearer = pixels[self._place - 1] / pixels[self._place] if self._place else None
        advice = self._pace.add(took_s, done_s, dearer)
        place = self._place + {Advice.KEEP: 0, Advice.CHEAPER: 1, Advice.DEARER: -1}[advice]
        if place == self._place or place >= len(self._sizes):
            return
        per_s = 1 / max(self._pace.mean_s or took_s, 1e-9)
        log.info(
            "input of the network: %s, at %s it makes %.1f detections a second",
            *(self._sizes[place], self._sizes[self._place], per_s),
        )
        self._place, self._pace = place, Pace()
        self._change(self._small, self._sizes[place])

    def _change(self, model: str, resize: str) -> None:
        config = replace(self._config, model=model, resize=resize)
        if config == self._active.config:
            return
        self._stack.close()
        self._active = self._stack.enter_context(SuperPoint(config))

    def _probe(self, source_wh: tuple[int, int]) -> float:
        """Time of the small model on a small input."""
        self._change(self._small, _PROBE_SIZE)
        self._active.warm_up(source_wh)
        return self._time(source_wh)

    def _time(self, source_wh: tuple[int, int]) -> float:
        blank = np.zeros((source_wh[1], source_wh[0], 3), np.uint8)
        took_s = []
        for _ in range(_TRIALS):
            started_s = time.perf_counter()
            self._active.extract(blank)
            took_s.append(time.perf_counter() - started_s)
        return min(took_s)


def _pixels(source_wh: tuple[int, int], resize: str) -> int:
    width, height = network_size(source_wh, resize)
    return width * height
