"""What viewers ask for, checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from realtime_kp.errors import ArgumentError

# Those of the window but `q` and `h`: viewers do not end the run, and the page has its own help.
KEYS = frozenset(" .ktisvmcMbNner")
_FARTHEST_PX = 1e5
_FARTHEST_FRAME = 2**53
_MOST_KEYPOINTS = 100_000


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key, as in the window."""

    key: str


@dataclass(frozen=True, slots=True)
class Clicked:
    """A click.

    Attributes:
        x: Column in pixels of the source; of the drawn picture where `drawn`.
        y: Row.
        right: Whether it was the right button: the nearest point is given up.
        frame: Index of the frame that was clicked on; None for the newest.
        drawn: Whether the position is one in the drawn picture.
    """

    x: float
    y: float
    right: bool = False
    frame: int | None = None
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Dragged:
    """A region that was drawn.

    Attributes:
        bounds: From x, y to x, y, in pixels of the source; of the drawn picture where `drawn`.
        drawn: Whether the positions are those in the drawn picture.
    """

    bounds: tuple[float, float, float, float]
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """A slider; None leaves a setting as it is."""

    threshold: float | None = None
    max_keypoints: int | None = None


ViewerRequest = KeyPressed | Clicked | Dragged | SettingChanged


def message_of(text: str) -> Mapping[str, Any]:
    """A message: a JSON object with a `type`.

    Raises:
        ArgumentError: It is none.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ArgumentError("a message must be JSON") from exc
    if not isinstance(values, dict) or not isinstance(values.get("type"), str):
        raise ArgumentError("a message must be a JSON object with a type")
    return values


def request_of(values: Mapping[str, Any]) -> ViewerRequest:
    """What a message asks for.

    Args:
        values: A message of type `key`, `click`, `drag` or `set`.

    Raises:
        ArgumentError: The message is not known, or a value is impossible.
    """
    kind = values["type"]
    if kind == "key":
        key = values.get("key")
        if not isinstance(key, str) or key not in KEYS or len(key) != 1:
            raise ArgumentError("that key does nothing")
        return KeyPressed(key)
    if kind == "click":
        frame = values.get("frame")
        return Clicked(
            _number(values, "x", -_FARTHEST_PX, _FARTHEST_PX),
            _number(values, "y", -_FARTHEST_PX, _FARTHEST_PX),
            right=values.get("button") == "right",
            frame=None if frame is None else int(_number(values, "frame", 0, _FARTHEST_FRAME)),
            drawn=values.get("drawn") is True,
        )
    if kind == "drag":
        x0, y0, x1, y1 = (
            _number(values, name, -_FARTHEST_PX, _FARTHEST_PX) for name in ("x0", "y0", "x1", "y1")
        )
        return Dragged((x0, y0, x1, y1), drawn=values.get("drawn") is True)
    if kind == "set":
        return SettingChanged(
            threshold=_number(values, "threshold", 0, 1) if "threshold" in values else None,
            max_keypoints=int(_number(values, "max_keypoints", 1, _MOST_KEYPOINTS))
            if "max_keypoints" in values
            else None,
        )
    raise ArgumentError("a message of an unknown type")


def number_in(values: Mapping[str, Any], name: str) -> float | None:
    """A finite number of a message; None where there is none."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A whole number may be too large for a float.
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


def _number(values: Mapping[str, Any], name: str, least: float, most: float) -> float:
    value = number_in(values, name)
    if value is None or not least <= value <= most:
        raise ArgumentError(f"{name} must be a number from {least:g} to {most:g}")
    return value
