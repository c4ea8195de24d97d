"""Values of more than eight bits, of thermal cameras and scientific pictures, as eight bits."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

_PERCENTILES = (0.1, 99.9)
_SAMPLES = 20_000
_NEARLY_ALL, _NEARLY_NOTHING = 0.97, 0.02
_WIDENING, _NARROWING = 0.5, 0.02


class ValueRange:
    """Which values are shown as black and as white; one range for all frames of a source.

    It is taken from percentiles of the first frames, and follows those of a camera: soon where values leave
    it, slowly where they do not fill it.

    Args:
        name: Of the source, for messages.
        fixed: Values shown as black and as white; None finds them.
    """

    def __init__(self, name: str, fixed: tuple[float, float] | None = None) -> None:
        self._name = name
        self._fixed = fixed is not None
        self._range = fixed
        self._told = False

    @property
    def known(self) -> bool:
        """Whether it was given or found already."""
        return self._range is not None

    def learn(self, images: Iterable[NDArray[Any]]) -> None:
        """Take the range from several images of the source, and keep it."""
        if self._fixed:
            return
        found = [(*_percentiles(image), image.dtype.kind) for image in images]
        if found:
            low, high = min(low for low, _, _ in found), max(high for _, high, _ in found)
            self._range = _snapped(low, high, floats=any(kind == "f" for *_, kind in found))
            self._fixed = True

    def follow(self, image: NDArray[Any]) -> None:
        """Adjust the range to the newest image of a camera."""
        if self._fixed:
            return
        low, high = _percentiles(image)
        if self._range is None:
            self._range = low, high
            return
        before_low, before_high = self._range
        self._range = (
            before_low + (low - before_low) * (_WIDENING if low < before_low else _NARROWING),
            before_high + (high - before_high) * (_WIDENING if high > before_high else _NARROWING),
        )

    def to_eight_bits(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Scale an image of any shape; what is no number becomes 0."""
        if self._range is None:
            self.learn([image])
        assert self._range is not None
        low, high = self._range
        if not self._told:
            self._told = True
            message = "%s: values from %g to %g are shown as black to white; --input.range LO,HI sets it"
            log.info(message, self._name, low, high)
        scaled: NDArray[np.float32] = (np.nan_to_num(image.astype(np.float32), nan=low) - low) * (
            255 / max(high - low, 1e-9)
        )
        return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)


def _percentiles(image: NDArray[Any]) -> tuple[float, float]:
    values = image.reshape(-1)
    values = values[:: max(1, len(values) // _SAMPLES)]
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)


def _snapped(low: float, high: float, *, floats: bool) -> tuple[float, float]:
    """The range that an ordinary picture means: from 0 to all that its type holds, where that is near."""
    most = 1.0 if floats else 65_535.0 if high > 255 else 255.0
    if 0 <= low <= _NEARLY_NOTHING * high:
        low = 0.0
    if most * _NEARLY_ALL <= high <= most or (most == 255.0 and low == 0):
        high = most
    return low, high
