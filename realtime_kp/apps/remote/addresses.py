"""Addresses of files in object stores, and where their local copies lie."""

from __future__ import annotations

import re
from pathlib import Path

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "hf", "file")

_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)})://(.+)")
# What a `Path` makes of one.
_AS_PATH = re.compile(rf"({'|'.join(SCHEMES)}):/(?!/)(.+)")


def is_remote(name: str) -> bool:
    """Whether a name is the address of a file or folder in an object store."""
    return _ADDRESS.fullmatch(name) is not None


def address_in(path: Path) -> str | None:
    """The address that a `Path` was made of; None where it is a path."""
    found = _AS_PATH.fullmatch(path.as_posix())
    return None if found is None else _joined(found[1], found[2])


def copy_of(address: str, root: Path) -> Path:
    """Where the local copy of a file lies.

    Args:
        address: The address.
        root: Folder of all copies.
    """
    found = _ADDRESS.fullmatch(address)
    assert found is not None
    return root / found[1] / found[2].strip("/")


def address_of(copy: Path, root: Path) -> str | None:
    """The address whose local copy a path is; None where it is none."""
    if not copy.is_relative_to(root):
        return None
    scheme, *rest = copy.relative_to(root).parts
    return _joined(scheme, "/".join(rest))


def _joined(scheme: str, rest: str) -> str:
    return f"{scheme}:///{rest.lstrip('/')}" if scheme == "file" else f"{scheme}://{rest}"
