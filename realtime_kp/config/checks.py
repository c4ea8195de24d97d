"""Checks that settings make of themselves; each says what it got."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from realtime_kp.errors import ConfigError

Stage = TypeVar("Stage")


def require(ok: bool, what: str, got: object) -> None:
    """Raise a `ConfigError` that says what is wanted and what was got, unless `ok`."""
    if not ok:
        raise ConfigError(f"{what}, got {got!r}")


def config_or_keywords(
    kind: type[Stage], config: Stage | None, settings: dict[str, Any], owner: str
) -> Stage:
    """The settings of a class that takes either a whole configuration or its fields as keywords.

    Raises:
        ConfigError: Both were given, or a keyword is unknown; `owner` names the class.
    """
    if config is not None and settings:
        raise ConfigError(f"give {owner} either a config or keywords, not both")
    try:
        return config or kind(**settings)
    except TypeError as exc:
        raise ConfigError(str(exc).replace(f"{kind.__name__}.__init__()", owner)) from exc


def check_types(stage: object) -> None:
    """Say which field has a value of another type than its annotation names."""
    for name, annotation in get_type_hints(type(stage)).items():
        value = getattr(stage, name)
        if get_origin(annotation) is Literal:
            continue  # the choices are checked one by one, by value
        kinds = get_args(annotation) or (annotation,)
        # A whole number serves as a float; a truth value does not serve as a number.
        fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
        if not fits or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
            raise ConfigError(f"{name} must be {wanted}, got {value!r}")


def parse_size(text: str, what: str) -> tuple[int, int]:
    """Parse `"640x480"` into (width, height).

    Raises:
        ConfigError: The text is no size.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or int(found[1]) == 0 or int(found[2]) == 0:
        raise ConfigError(f"{what} must be a size such as 640x480, got {text!r}")
    return int(found[1]), int(found[2])
