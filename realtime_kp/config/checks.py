"""Validation of settings; every error message quotes the rejected value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from realtime_kp.errors import ConfigError

Stage = TypeVar("Stage")

_IN_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text (in quotes)",
    Path: "a Path (in YAML text in quotes)",
    type(None): "None",
}


def require(ok: bool, what: str, got: object) -> None:
    """Check a setting.

    Args:
        ok: Whether the value is valid.
        what: The requirement, as the first part of the message.
        got: The rejected value.

    Raises:
        ConfigError: `ok` is false.
    """
    if not ok:
        raise ConfigError(f"{what}, got {' '.join(repr(got).splitlines())}")


def config_or_keywords(
    kind: type[Stage], config: Stage | None, settings: dict[str, Any], owner: str
) -> Stage:
    """Resolve the settings of a class that takes either a configuration or its fields as keywords.

    Args:
        kind: The configuration class.
        config: A complete configuration; None builds one from the keywords.
        settings: Keyword arguments, named after the fields of `kind`.
        owner: Name of the class that takes the settings, for the message.

    Raises:
        ConfigError: Both were given, the configuration is none, or a keyword is unknown.
    """
    if config is not None and settings:
        raise ConfigError(f"give {owner} either a config or keywords, not both")
    if config is not None:
        require(
            isinstance(config, kind), f"{owner} takes a {kind.__name__} or its fields as keywords", config
        )
        return config
    try:
        return kind(**settings)
    except TypeError as exc:
        raise ConfigError(str(exc).replace(f"{kind.__name__}.__init__()", owner)) from exc


def check_types(stage: object) -> None:
    """Check the fields of a configuration against their annotations.

    Raises:
        ConfigError: A value has the wrong type, or is NaN or infinite.
    """
    for name, annotation in get_type_hints(type(stage)).items():
        value = getattr(stage, name)
        if get_origin(annotation) is Literal:
            continue  # each class checks its choices by value
        kinds = get_args(annotation) or (annotation,)
        # An int is accepted for a float; a bool, although a subclass of int, is not accepted for a number.
        fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
        if isinstance(value, bool):
            fits = bool in kinds
        elif isinstance(value, float):
            fits = fits and math.isfinite(value)
        require(
            fits, f"{name} must be {' or '.join(_IN_WORDS.get(kind, kind.__name__) for kind in kinds)}", value
        )


def number_as_text(stage: object, name: str) -> None:
    """Turn a number into text, in a field that takes words as well."""
    value = getattr(stage, name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        object.__setattr__(stage, name, str(value))


def parse_size(text: str, what: str) -> tuple[int, int]:
    """Parse `"640x480"` into (width, height).

    Raises:
        ConfigError: The text is not a size.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or int(found[1]) == 0 or int(found[2]) == 0:
        raise ConfigError(f"{what} must be a size such as 640x480, got {text!r}")
    return int(found[1]), int(found[2])
