"""Object stores, through fsspec; nothing else here knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import Any
from uuid import uuid4

from realtime_kp.errors import ConfigError, RealtimeKpError, SinkError, SourceError, first_line

_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def fetch(address: str, copy: Path) -> None:
    """Copy a file from a store.

    Raises:
        ConfigError: The package for this store is missing.
        SourceError: It is not there, or cannot be read.
    """
    with _told(f"cannot read {address}", SourceError):
        store, path = _opened(address)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            there = store.info(path)["type"] == "file"
        except FileNotFoundError:
            there = False
        if not there:
            raise SourceError(f"there is no file {address}")
        store.get_file(path, str(copy))


def put(copy: Path, address: str) -> None:
    """Copy a file, or a folder with all in it, into a store.

    Raises:
        ConfigError: The package for this store is missing.
        SinkError: It cannot be written.
    """
    with _told(f"cannot write {address}", SinkError):
        store, path = _opened(address)
        files = [copy] if copy.is_file() else sorted(file for file in copy.rglob("*") if file.is_file())
        for file in files:
            place = path if file == copy else f"{path.rstrip('/')}/{file.relative_to(copy).as_posix()}"
            _make_folder(store, place)
            store.put_file(str(file), place)


def check_writable(folder: str) -> None:
    """Check by a small file that a folder of a store can be written to.

    Raises:
        ConfigError: The package for this store is missing.
        SinkError: It cannot.
    """
    with _told(f"cannot write into {folder}", SinkError):
        store, path = _opened(f"{folder}/.realtime_kp_{uuid4().hex}")
        _make_folder(store, path)
        store.pipe_file(path, b"probe")
        store.rm_file(path)


def modified_at_s(address: str) -> float:
    """When a file was last changed, seconds since 1970.

    Raises:
        ConfigError: The package for this store is missing.
        SourceError: It is not there, or the store does not answer.
    """
    with _told(f"cannot read {address}", SourceError):
        store, path = _opened(address)
        store.invalidate_cache()
        return float(store.modified(path).timestamp())


def present(addresses: Iterable[str]) -> set[str]:
    """Which of some files are there; each folder is listed once.

    Raises:
        ConfigError: The package for this store is missing.
        SourceError: It does not answer, or refuses.
    """
    found: set[str] = set()
    listed: dict[str, set[str]] = {}
    for address in addresses:
        folder, _, name = address.rpartition("/")
        if folder not in listed:
            with _told(f"cannot read {folder}", SourceError):
                store, path = _opened(folder)
                store.invalidate_cache()
                names = store.ls(path, detail=False) if store.exists(path) else []
                listed[folder] = {each.rstrip("/").rpartition("/")[2] for each in names}
        if name in listed[folder]:
            found.add(address)
    return found


def expanded(pattern: str) -> list[str]:
    """Addresses of the files that match a pattern with `*`, `?` or `[…]`, in order; of one without, itself.

    Raises:
        ConfigError: The package for this store is missing.
        SourceError: No file matches, or the store does not answer.
    """
    if not has_magic(pattern):
        return [pattern]
    scheme = pattern.partition("://")[0]
    with _told(f"cannot read {pattern}", SourceError):
        store, path = _opened(pattern)
        names = sorted(store.glob(path))
        if not names:
            raise SourceError(f"no file matches {pattern}")
        return [f"{scheme}://{name}" for name in names]


def _make_folder(store: Any, path: str) -> None:
    """Make the folder of a file on a disk; object stores have none, and s3fs would make a bucket."""
    if "file" in store.protocol:
        store.makedirs(path.rpartition("/")[0], exist_ok=True)


def _opened(address: str) -> tuple[Any, str]:
    import fsspec

    scheme = address.partition("://")[0]
    try:
        store, path = fsspec.core.url_to_fs(address)
    except ImportError as exc:
        package = _PACKAGES.get(scheme, "huggingface_hub")
        raise ConfigError(f"{scheme}:// needs {package}: pip install {package}") from exc
    return store, path


@contextmanager
def _told(what: str, error: type[RealtimeKpError]) -> Iterator[None]:
    try:
        yield
    except RealtimeKpError:
        raise
    # Every store has exceptions of its own.
    except Exception as exc:
        raise error(f"{what}: {first_line(exc)}") from exc
