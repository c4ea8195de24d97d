"""Video that comes through standard input or a named pipe."""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from pathlib import Path

from realtime_kp.errors import SourceError

STANDARD_INPUT = ("-", "stdin:")  # by either name
_MAY_SELECT = os.name == "posix"  # Windows waits for sockets only


class Pipe:
    """Bytes of a pipe as PyAV reads them, which stop when they are interrupted.

    Args:
        location: `-` or `stdin:` for standard input, or the path of a named pipe; `read` waits for a writer.

    Attributes:
        name: Name for messages.
        empty: Whether nothing has come so far.

    Raises:
        SourceError: Standard input is a terminal or closed, or the pipe cannot be opened.
    """

    def __init__(self, location: str) -> None:
        self.name = "standard input" if location in STANDARD_INPUT else location
        self._descriptor = _opened(location)
        self._wake_out, self._wake_in = os.pipe()
        self._lock = threading.Lock()
        self._open = True
        self.empty = True

    def read(self, size: int) -> bytes:
        """Up to this many bytes, as soon as there are any; none at the end, or after `interrupt`."""
        while True:
            if _MAY_SELECT:
                ready, _, _ = select.select([self._descriptor, self._wake_out], [], [])
                if self._wake_out in ready:
                    return b""
            try:
                data = os.read(self._descriptor, size)
            except BlockingIOError:
                continue
            self.empty = self.empty and not data
            return data

    def interrupt(self) -> None:
        """Have `read` return; may be called from any thread."""
        with self._lock:
            if self._open:
                os.write(self._wake_in, b"x")

    def close(self) -> None:
        """Close it, if it is open; standard input itself stays open."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        for descriptor in (self._descriptor, self._wake_out, self._wake_in):
            os.close(descriptor)


def is_pipe(path: Path) -> bool:
    """Whether something that exists is a named pipe."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _opened(location: str) -> int:
    if location not in STANDARD_INPUT:
        try:
            return os.open(location, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as exc:
            raise SourceError(f"cannot open {location}: {exc.strerror}") from exc
    if sys.stdin is None or sys.stdin.closed:
        raise SourceError("standard input is closed: send a video into it")
    if sys.stdin.isatty():
        raise SourceError(
            "standard input is a terminal: send a video into it, such as "
            "ffmpeg -i CLIP -c copy -f matroska - | realtime-kp video -"
        )
    try:
        descriptor = os.dup(sys.stdin.fileno())
        if sys.platform == "win32":
            import msvcrt

            msvcrt.setmode(descriptor, os.O_BINARY)
        return descriptor
    except OSError as exc:
        raise SourceError(f"cannot read standard input: {exc.strerror}") from exc
