"""Interface of the sinks, and files that get their final name only when complete."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SinkError
from realtime_kp.keypoints import TrackedFrame

log = logging.getLogger(__name__)


class FrameSink(Protocol):
    """Takes tracked frames with their drawn images. `__enter__` opens, `__exit__` closes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Take one frame; the image is None where nothing was drawn."""
        ...


def check_output(path: Path, *, overwrite: bool, inputs: Iterable[str] = ()) -> None:
    """Check before any work that an output can be written and replaces nothing by accident.

    Args:
        path: The file to be written.
        overwrite: Whether an existing file may be replaced.
        inputs: Sources of the run; they are never overwritten, whatever `overwrite` is.

    Raises:
        SinkError: Names path, reason and remedy.
    """
    if path.is_dir():
        raise SinkError(f"cannot write {path}: it is a folder; give a file name")
    # The file is written under its partial name, so that an existing partial file is protected like a
    # finished one.
    for name in (path, PartialFile(path).partial):
        if name.exists() and any(Path(one).exists() and name.samefile(one) for one in inputs):
            raise SinkError(f"writing {path} would destroy the input itself, {name}; choose another output")
        if name.exists() and not overwrite:
            raise SinkError(f"{name} exists already; add --overwrite to replace it, or choose another name")
    parent = path.parent
    if not parent.is_dir():
        raise SinkError(f"cannot write {path}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise SinkError(f"cannot write {path}: no permission to write into {parent}")


# These formats are readable only with an index at their end: partial files use formats readable at any time.
_PARTIAL_SUFFIX = {".mp4": ".mkv", ".parquet": ".csv"}


class PartialFile:
    """A file that gets its final name only when complete: `t.csv` is written as `t.partial.csv`.

    MP4 is written as `.partial.mkv` and Parquet as `.partial.csv`; they are converted at the end.

    Args:
        path: The final name.
        convert: Converts the partial file (first argument) into the complete one (second argument).
    """

    def __init__(self, path: Path, convert: Callable[[Path, Path], None] | None = None) -> None:
        self.path = path
        suffix = path.suffix.lower()
        self.partial = path.with_name(f"{path.stem}.partial{_PARTIAL_SUFFIX.get(suffix, path.suffix)}")
        self._convert = convert

    def commit(self) -> None:
        """Rename the complete file to its final name.

        Raises:
            SinkError: The file cannot be written.
        """
        try:
            if self._convert is not None:
                whole = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
                try:
                    self._convert(self.partial, whole)
                    os.replace(whole, self.path)
                finally:
                    whole.unlink(missing_ok=True)
                self.partial.unlink()
            else:
                os.replace(self.partial, self.path)
        except OSError as exc:
            raise write_error(self.path, exc) from exc

    def finish(
        self,
        close: Callable[[], None],
        error: BaseException | None,
        *,
        worth_keeping: bool,
        faults: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """Close the file and commit it; abandon it if closing or the run failed.

        Args:
            close: Closes the file.
            error: Exception that ended the run; it takes precedence over one from closing.
            worth_keeping: Whether an abandoned file is kept under its partial name.
            faults: Exceptions that closing and converting may raise.

        Raises:
            SinkError: Closing failed after a run that did not.
        """
        try:
            close()
            if error is None:
                self.commit()
        except SinkError:
            self.abandon(worth_keeping=worth_keeping)
            if error is None:
                raise
            return
        except faults as exc:
            self.abandon(worth_keeping=worth_keeping)
            if error is None:
                raise write_error(self.path, exc) from exc
            return
        if error is not None:
            self.abandon(worth_keeping=worth_keeping)

    def abandon(self, *, worth_keeping: bool) -> None:
        """Keep or remove the partial file of a failed run."""
        if not self.partial.exists():
            return
        if worth_keeping:
            log.warning("what was written before the failure is in %s", self.partial)
        else:
            self.partial.unlink(missing_ok=True)


def write_error(path: Path, exc: Exception) -> SinkError:
    """The error for a failed write, with the error text of the system where there is one."""
    code = errno.errorcode.get(getattr(exc, "errno", None) or 0)
    cause = getattr(exc, "strerror", None) or str(exc)
    return SinkError(f"cannot write {path}: {cause}" + (f" ({code})" if code else ""))


def reopen_at(path: Path, size: int) -> IO[str]:
    """Open a text file to continue after its first `size` bytes; anything after them is truncated.

    Raises:
        SinkError: It is shorter, or cannot be written.
    """
    try:
        out = open(path, "r+", encoding="utf-8", newline="")  # noqa: SIM115 - closed by whom it is given to
        if out.seek(0, os.SEEK_END) < size:
            out.close()
            raise SinkError(f"cannot continue {path}: it got shorter; start again with --overwrite")
        out.truncate(size)
        out.seek(size)
    except OSError as exc:
        raise write_error(path, exc) from exc
    return out


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file by an atomic rename, after all of it is on the disk.

    Raises:
        SinkError: The file cannot be written.
    """
    file = PartialFile(path)
    try:
        with open(file.partial, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except OSError as exc:
        file.abandon(worth_keeping=False)
        raise write_error(path, exc) from exc
    file.commit()
