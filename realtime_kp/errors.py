"""The errors a user can meet: one clear line that names the thing and the mend."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something, or its kind where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class RealtimeKpError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(RealtimeKpError):
    """A flag, keyword or YAML value is unknown or impossible."""


class SourceError(RealtimeKpError):
    """A camera, file, stream or folder could not be opened or read."""


class ModelError(RealtimeKpError):
    """Weights, engine, device or precision are not to be had."""


class SinkError(RealtimeKpError):
    """An output could not be written, or would overwrite something."""
