"""Files of this run that viewers may fetch: those that it has made, and no others."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from pathlib import Path

_MOST = 200


class Downloads:
    """Files by names that cannot be guessed; no part of an address is ever a path."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, Path] = OrderedDict()

    def offer(self, path: Path) -> None:
        """Offer a finished file; of more than 200 the oldest are no longer offered."""
        self._files[secrets.token_urlsafe(12)] = path.absolute()
        if len(self._files) > _MOST:
            self._files.popitem(last=False)

    def find(self, number: str) -> Path | None:
        """The file of a name; None where there is none, or no longer."""
        path = self._files.get(number)
        return path if path is not None and path.is_file() else None

    def listed(self) -> list[dict[str, str]]:
        """Name and address of each, the newest first."""
        return [{"name": path.name, "url": f"files/{key}"} for key, path in reversed(self._files.items())]
