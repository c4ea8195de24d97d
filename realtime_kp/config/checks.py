"""Validation of settings; every error message quotes the rejected value."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from realtime_kp.errors import ConfigError

Stage = TypeVar("Stage")


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
        raise ConfigError(f"{what}, got {got!r}")


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
        ConfigError: Both were given, or a keyword is unknown.
    """
    if config is not None and settings:
        raise ConfigError(f"give {owner} either a config or keywords, not both")
    try:
        return config or kind(**settings)
    except TypeError as exc:
        raise ConfigError(str(exc).replace(f"{kind.__name__}.__init__()", owner)) from exc


def check_types(stage: object) -> None:
    """Check the fields of a configuration against their annotations.

    Raises:
        ConfigError: A value has the wrong type.
    """
    for name, annotation in get_type_hints(type(stage)).items():
        value = getattr(stage, name)
        if get_origin(annotation) is Literal:
            continue  # each class checks its choices by value
        kinds = get_args(annotation) or (annotation,)
        # An int is accepted for a float; a bool, although a subclass of int, is not accepted for a number.
        fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
        if not fits or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
            raise ConfigError(f"{name} must be {wanted}, got {value!r}")


def parse_size(text: str, what: str) -> tuple[int, int]:
    """Parse `"640x480"` into (width, height).

    Raises:
        ConfigError: The text is not a size.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or int(found[1]) == 0 or int(found[2]) == 0:
        raise ConfigError(f"{what} must be a size such as 640x480, got {text!r}")
    return int(found[1]), int(found[2])
