"""Errors shown to the user. Each message is one line that names the cause and the remedy."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """Return the first non-empty line of an error's text, or the name of its class if there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class RealtimeKpError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(RealtimeKpError):
    """A flag, keyword or YAML value is unknown or invalid."""


class SourceError(RealtimeKpError):
    """A camera, file, stream or folder could not be opened or read."""


class ModelError(RealtimeKpError):
    """Weights, engine, device or precision are not available."""


class SinkError(RealtimeKpError):
    """An output could not be written, or would overwrite an existing file."""
