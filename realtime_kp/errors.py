"""Errors shown to the user. Each message is one line that names the cause and the remedy."""

from __future__ import annotations

import re

# As OpenVINO begins its messages.
_WHERE = re.compile(r"Exception from \S+:|Check .* failed at \S+:")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that tells what is wrong, or the name of its class.

    Lines that only tell where in a library it was raised are passed over; a line that ends in a colon is
    taken with the next one.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not _WHERE.fullmatch(line)] or lines or [type(error).__name__]
    return " ".join(telling[:2]) if telling[0].endswith(":") else telling[0]


class RealtimeKpError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(RealtimeKpError):
    """A flag, keyword or YAML value is unknown or invalid."""


class ArgumentError(RealtimeKpError, ValueError):
    """What a program passed to the Python interface, such as an image, is of another kind than it must be."""


class SourceError(RealtimeKpError):
    """A camera, file, stream or folder could not be opened or read."""


class ModelError(RealtimeKpError):
    """Weights, engine, device or precision are not available."""


class SinkError(RealtimeKpError):
    """An output could not be written, or would overwrite an existing file."""
