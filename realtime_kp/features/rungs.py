"""The settings from which `live` selects by speed, from dear to cheap."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from realtime_kp.config import SuperPointConfig
from realtime_kp.features.pace import LEAST_PER_S, Advice, Pace
from realtime_kp.features.resize import USUAL_SIZE, network_size

# Rough costs of models of one size, cheapest first: those of nano, small and base on CPUs.
_COSTS = (1.0, 3.0, 14.4)
_SMALLER_SIZES = ("480", "320")
_LONGEST_FAST_FOR_S = 600.0


@dataclass(frozen=True, slots=True)
class Rung:
    """A setting of the network.

    Attributes:
        config: Model, precision and input size among all other settings.
        pixels: Cost of a detection, as that of so many pixels with the last model in the usual precision.
        limit_s: How long a detection may take where the setting is selected.
        is_estimate: Whether the cost of its model is too roughly known to select it without a trial.
    """

    config: SuperPointConfig
    pixels: float
    limit_s: float
    is_estimate: bool = False

    @property
    def share(self) -> float:
        """Cost over what it may cost, in an arbitrary unit."""
        return self.pixels / self.limit_s

    @property
    def name(self) -> str:
        """Model, input size and precision for messages."""
        precision = "" if self.config.precision == "auto" else f" in {self.config.precision}"
        return f"{self.config.model} {self.config.resize}{precision}"


class Ladder:
    """The settings, dearest first, and the one in use, which follows the time that detections take.

    Args:
        rungs: The settings, at least one.
        place: Which of them is in use at first.
    """

    def __init__(self, rungs: tuple[Rung, ...], place: int) -> None:
        self._rungs = rungs
        self._place = place
        self._pace = Pace(rungs[place].limit_s)

    @property
    def rung(self) -> Rung:
        """The setting in use."""
        return self._rungs[self._place]

    @property
    def detections_per_s(self) -> float:
        """How many detections the setting in use makes; infinite before the first."""
        return 1 / self._pace.mean_s if self._pace.mean_s else math.inf

    def add(self, took_s: float, done_s: float) -> Rung | None:
        """Add a detection.

        Args:
            took_s: How long it took.
            done_s: When it was done, on any clock.

        Returns:
            The setting to use instead of the one in use; None while that is to stay.
        """
        above = self._rungs[self._place - 1] if self._place else None
        dearer_share = None if above is None else above.share / self.rung.share
        advice = self._pace.add(took_s, done_s, dearer_share)
        place = self._place + {Advice.KEEP: 0, Advice.CHEAPER: 1, Advice.DEARER: -1}[advice]
        return None if place == self._place or place >= len(self._rungs) else self._rungs[place]

    def move(self, rung: Rung) -> None:
        """Use another setting from now on; after each retreat a return takes twice as long."""
        place = self._rungs.index(rung)
        again = 2.0 if place > self._place else 1.0
        fast_for_s = min(again * self._pace.fast_for_s, _LONGEST_FAST_FOR_S)
        self._place, self._pace = place, Pace(rung.limit_s, fast_for_s)


def make_rungs(
    config: SuperPointConfig,
    models: tuple[str, ...],
    source_wh: tuple[int, int],
    interval_s: float,
    gain_of_8_bits: float | None = None,
) -> tuple[Rung, ...]:
    """All settings, dearest first.

    The first of several models must keep up with the source, the others need eight detections a second only:
    detections of every frame are worth more to the tracks than better ones of every third frame. Only the
    last model gets a smaller input: nano with 640 pixels matches more than small with 480, and costs less.

    Args:
        config: All other settings; a size that is named in it is the only one.
        models: Values of `--model`, larger first.
        source_wh: Width and height of the source.
        interval_s: Interval between frames of the source.
        gain_of_8_bits: How many times as fast the last model is in 8 bits; None where it should not be used.
    """
    sizes = (USUAL_SIZE, *_SMALLER_SIZES) if config.resize == "auto" else (config.resize,)
    limit_s = max(interval_s, 1 / LEAST_PER_S)
    last = len(models) - 1

    def rung(place: int, size: str, gain: float | None = None) -> Rung:
        precision = config.precision if gain is None else "int8"
        return Rung(
            replace(config, model=models[place], resize=size, precision=precision),
            pixels(source_wh, size) * _COSTS[min(last - place, len(_COSTS) - 1)] / (gain or 1.0),
            limit_s,
            is_estimate=place < last,
        )

    largest = [replace(rung(0, sizes[0]), limit_s=interval_s)] if last else []
    middle = range(1, last)
    # Full precision before 8 bits, but not of the cheapest model where a larger one comes before it.
    usual = [] if gain_of_8_bits is None else [rung(place, sizes[0]) for place in middle or (last,)]
    cheaper = [rung(place, sizes[0], gain_of_8_bits) for place in middle]
    cheapest = [rung(last, size, gain_of_8_bits) for size in sizes]
    return (*largest, *usual, *cheaper, *cheapest)


def pixels(source_wh: tuple[int, int], resize: str) -> int:
    """Number of pixels of the input of the network."""
    width, height = network_size(source_wh, resize)
    return width * height
