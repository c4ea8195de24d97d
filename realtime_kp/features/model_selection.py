"""Selection of model, precision and input size by speed, so that live detections come often enough."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError
from realtime_kp.features.extractor import Extraction, ModelInfo, Results
from realtime_kp.features.resize import USUAL_SIZE
from realtime_kp.features.rungs import Ladder, Rung, make_rungs, pixels
from realtime_kp.features.superpoint import SuperPoint
from realtime_kp.frame import Mask

log = logging.getLogger(__name__)

_TRIALS = 3
_USUAL_INTERVAL_S = 1 / 30
_PROBE_SIZE = "320"
_HOPELESS = 4.0
_WORTH_8_BITS = 1.25


@dataclass(frozen=True, slots=True)
class _Cost:
    """Time of a detection: only that of the network grows with the model and its input."""

    network_s: float
    other_s: float


class ModelSelectingExtractor:
    """Selects model, precision and input size when the size of the source is known, and again while running.

    The largest model is used on GPUs and where it keeps up with the source; a glance at the smallest tells
    where it need not even be tried. Otherwise it is the largest model and input with which eight detections a
    second are made, in 8 bits where the CPU was measured to gain by them. Where other programs come and go,
    a cheaper or a dearer setting takes over while the tracks go on. What the settings name is never changed.

    Args:
        config: All settings.
        models: Values of `--model` to select from, larger first.
    """

    def __init__(self, config: SuperPointConfig, models: tuple[str, ...] = ("base", "small", "nano")) -> None:
        self._config = config
        self._models = models
        self._ladder: Ladder | None = None
        self._active = SuperPoint(self._probe_config())
        self._selected = False

    def __enter__(self) -> Self:
        from realtime_kp.features.engines.selection import choose_device

        self._selected = choose_device(self._config.device) != "cpu"
        if self._selected:
            self._active = SuperPoint(replace(self._config, model=self._models[0]))
        self._active.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._active.__exit__(kind, error, trace)

    @property
    def info(self) -> ModelInfo:
        """The model in use; valid between enter and exit."""
        return self._active.info

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """Input size of the network for a source size, width and height."""
        return self._active.network_size(source_wh)

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        """Select the setting for a source, and warm up.

        Args:
            source_wh: Width and height of the source.
            interval_s: Interval between frames of the source; None where it is unknown, as of some cameras.
            batch: Number of frames per run.
        """
        if not self._selected:
            self._select(source_wh, _USUAL_INTERVAL_S if interval_s is None else interval_s)
        self._active.warm_up(source_wh, batch=batch)

    @property
    def in_flight(self) -> int:
        """How many runs may be submitted before the results of the first one are requested."""
        return self._active.in_flight

    def submit(
        self,
        images_bgr: Sequence[NDArray[np.uint8]],
        keypoint_threshold: float | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> Results:
        """Start a run on images of one size; returns a callable that waits for the keypoints."""
        source_wh = (images_bgr[0].shape[1], images_bgr[0].shape[0])
        if not self._selected:
            self.warm_up(source_wh)
        started_s = time.perf_counter()
        wait = self._active.submit(images_bgr, keypoint_threshold, masks)

        def results() -> list[Extraction]:
            found = wait()
            done_s = time.perf_counter()
            self._follow_pace((done_s - started_s) / len(found), done_s, source_wh)
            return found

        return results

    def _select(self, source_wh: tuple[int, int], interval_s: float) -> None:
        self._selected = True
        usual = (self._config, self._models, source_wh, interval_s)
        rungs = make_rungs(*usual)
        probe = self._probe_config()
        cost = self._time(probe, source_wh)
        gain = self._gain_of_8_bits(probe, cost, source_wh)
        if gain is not None:
            rungs = tuple(rung for rung in make_rungs(*usual, gain) if self._can_be_loaded(rung))
        pixel_s = cost.network_s / pixels(source_wh, probe.resize)
        self._ladder = self._best(rungs, source_wh, pixel_s, cost.other_s)
        self._change(self._ladder.rung.config)

    def _probe_config(self) -> SuperPointConfig:
        """The setting that is loaded first, whose time tells those of all others."""
        usual = USUAL_SIZE if self._config.resize == "auto" else self._config.resize
        size = _PROBE_SIZE if len(self._models) > 1 else usual
        return replace(self._config, model=self._models[-1], resize=size)

    def _best(
        self, rungs: tuple[Rung, ...], source_wh: tuple[int, int], pixel_s: float, other_s: float
    ) -> Ladder:
        """The settings, of which the dearest that is fast enough is in use; the cheapest where none is.

        Args:
            rungs: The settings, dearest first.
            source_wh: Width and height of the source.
            pixel_s: What the network of the probe took for each pixel.
            other_s: What the rest of the detection took.
        """
        why, measured = "", list(rungs)
        for place, rung in enumerate(rungs):
            took_s = pixel_s * rung.pixels + other_s
            if rung.is_estimate and took_s <= _HOPELESS * rung.limit_s:
                cost = self._time(rung.config, source_wh)
                took_s = cost.network_s + cost.other_s
                measured[place] = replace(rung, pixels=cost.network_s / pixel_s, is_estimate=False)
            if took_s <= rung.limit_s or place == len(rungs) - 1:
                break
            why = (
                f"{rung.name} takes {took_s * 1e3:.0f} ms a frame here, "
                f"{rung.limit_s * 1e3:.0f} ms would be fast enough"
            )
        if why:
            log.info("the network is %s: %s", rung.name, why)
        return Ladder(tuple(measured), place)

    def _can_be_loaded(self, rung: Rung) -> bool:
        """Whether there is an 8-bit version that can be read; that of the last model was run already."""
        if rung.config.precision == self._config.precision or not rung.is_estimate:
            return True
        try:
            with SuperPoint(rung.config):
                return True
        except ModelError as exc:
            log.warning("%s is not tried: %s", rung.name, exc)
            return False

    def _gain_of_8_bits(
        self, probe: SuperPointConfig, cost: _Cost, source_wh: tuple[int, int]
    ) -> float | None:
        """How many times as fast the smallest model is in 8 bits; None where that is not worth its loss."""
        from realtime_kp.features.engines.selection import may_gain_by_8_bits

        if not may_gain_by_8_bits(probe):
            return None
        try:
            gain = cost.network_s / self._time(replace(probe, precision="int8"), source_wh).network_s
        except ModelError as exc:
            log.warning("8 bits are not tried: %s", exc)
            return None
        return gain if gain >= _WORTH_8_BITS else None

    def _follow_pace(self, took_s: float, done_s: float, source_wh: tuple[int, int]) -> None:
        """Take a cheaper setting where this one has become too slow, a dearer one where it is fast again."""
        ladder = self._ladder
        other = None if ladder is None else ladder.add(took_s, done_s)
        if ladder is None or other is None:
            return
        log.info(
            "the network is now %s: %s made %.1f detections a second",
            *(other.name, ladder.rung.name, ladder.detections_per_s),
        )
        ladder.move(other)
        self._change(other.config)
        self._active.warm_up(source_wh)

    def _change(self, config: SuperPointConfig) -> None:
        before = self._active
        if config == replace(before.config, resize=config.resize):
            before.set_resize(config.resize)
            return
        # Other threads may read `info` meanwhile: the one before stays until the other is ready.
        self._active = SuperPoint(config).__enter__()
        before.__exit__(None, None, None)

    def _time(self, config: SuperPointConfig, source_wh: tuple[int, int]) -> _Cost:
        """What a detection costs with a setting."""
        self._change(config)
        self._active.warm_up(source_wh)
        blank = np.zeros((source_wh[1], source_wh[0], 3), np.uint8)
        costs = []
        for _ in range(_TRIALS):
            started_s = time.perf_counter()
            network_s = self._active.extract(blank).network_ms / 1e3
            costs.append(_Cost(network_s, time.perf_counter() - started_s - network_s))
        return min(costs, key=lambda cost: cost.network_s + cost.other_s)
