"""Locks on outputs, so that two processes never write the same files."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from realtime_kp.errors import SinkError

log = logging.getLogger(__name__)

_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})
_ATTEMPTS = 8


class OutputLocks:
    """Makes this process the only one that writes a set of outputs, while it is entered.

    Each output has a hidden file beside it, `.out.mp4.lock`, with the process's id in it. The system releases
    the lock when the process ends, in whatever way; the file is removed on exit, and one that a killed
    process left behind is taken over. Where files cannot be locked, as on some network drives, this is logged
    and ignored; where none can be created, those who write the outputs will say so.

    Args:
        outputs: Files and folders.
    """

    def __init__(self, outputs: Iterable[Path]) -> None:
        self._outputs = sorted({output.absolute() for output in outputs})
        self._held: list[tuple[Path, int]] = []

    def __enter__(self) -> Self:
        try:
            for output in self._outputs:
                self._take(output)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _take(self, output: Path) -> None:
        path = output.with_name(f".{output.name}.lock")
        for _ in range(_ATTEMPTS):
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError:
                return
            try:
                _lock(file)
            except OSError as exc:
                owner = _owner(file)
                os.close(file)
                if exc.errno not in _TAKEN:
                    log.info("%s cannot be locked: %s", output, exc)
                    return
                raise SinkError(
                    f"{output} is being written by {owner}: wait until it ends, or choose another name"
                ) from exc
            if _same_file(file, path):
                os.ftruncate(file, 0)
                os.pwrite(file, str(os.getpid()).encode(), 0)
                self._held.append((path, file))
                return
            os.close(file)  # its owner removed it meanwhile
        raise SinkError(f"{output} is being written by other processes: choose another name")

    def _release(self) -> None:
        while self._held:
            path, file = self._held.pop()
            try:
                # While the lock is held, so that nobody else's file is removed.
                path.unlink(missing_ok=True)
            except OSError as exc:
                log.debug("%s stays: %s", path, exc)
            os.close(file)


def _same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def _owner(file: int) -> str:
    try:
        number = os.pread(file, 20, 0).decode("ascii", "replace").strip()
    except OSError:
        number = ""
    return f"process {number}" if number.isdecimal() else "another process"


if os.name == "nt":
    import msvcrt

    def _lock(file: int) -> None:
        # Beside the process's id, which others read.
        os.lseek(file, 64, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
