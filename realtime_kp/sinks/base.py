"""What every sink offers, and how files come under their final names."""

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
    """Takes tracked frames with the pictures drawn of them. `__enter__` opens, `__exit__` closes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Take one frame; the picture is None where nothing was drawn."""
        ...


def check_output(path: Path, *, overwrite: bool, inputs: Iterable[str] = ()) -> None:
    """Refuse an output that cannot or must not be written, before any work is done.

    Args:
        path: The file to be written.
        overwrite: Whether an existing file may be replaced.
        inputs: Sources of the run: none of them is ever written to, whatever `overwrite` says.

    Raises:
        SinkError: Naming the path, the reason and the mend.
    """
    if path.is_dir():
        raise SinkError(f"cannot write {path}: it is a folder; give a file name")
    # The file grows under its partial name: what lies there is as precious as what has the final one.
    for name in (path, PartialFile(path).partial):
        if any(name.exists() and Path(source).exists() and name.samefile(source) for source in inputs):
            raise SinkError(f"writing {path} would destroy the input itself, {name}; choose another output")
        if name.exists() and not overwrite:
            raise SinkError(f"{name} exists already; add --overwrite to replace it, or choose another name")
    parent = path.parent
    if not parent.is_dir():
        raise SinkError(f"cannot write {path}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise SinkError(f"cannot write {path}: no permission to write into {parent}")


# These are readable only once an index is written at their end: they grow as what is readable at any moment.
_GROWS_AS = {".mp4": ".mkv", ".parquet": ".csv"}


class PartialFile:
    """A file that carries its final name only when it is whole: `t.csv` grows as `t.partial.csv`.

    MP4 grows as `.partial.mkv` and Parquet as `.partial.csv`, and they are converted at the end.

    Args:
        path: The final name.
        convert: Makes what it is called with second, the whole file, of what grew, the first.
    """

    def __init__(self, path: Path, convert: Callable[[Path, Path], None] | None = None) -> None:
        self.path = path
        suffix = path.suffix.lower()
        self.partial = path.with_name(f"{path.stem}.partial{_GROWS_AS.get(suffix, path.suffix)}")
        self._convert = convert

    def commit(self) -> None:
        """Give the whole file its final name.

        Raises:
            SinkError: The file system refuses.
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
            raise written(self.path, exc) from exc

    def finish(
        self,
        close: Callable[[], None],
        error: BaseException | None,
        *,
        worth_keeping: bool,
        faults: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """Close the file, then commit it; abandon it where closing or the run failed.

        Args:
            close: Closes the file.
            error: What the run failed with; it outranks what closing fails with.
            worth_keeping: Whether an abandoned file stays under its partial name.
            faults: What closing and converting may fail with.

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
                raise written(self.path, exc) from exc
            return
        if error is not None:
            self.abandon(worth_keeping=worth_keeping)

    def abandon(self, *, worth_keeping: bool) -> None:
        """The run failed: leave what was written under the partial name, or remove it."""
        if not self.partial.exists():
            return
        if worth_keeping:
            log.warning("what was written before the failure is in %s", self.partial)
        else:
            self.partial.unlink(missing_ok=True)


def written(path: Path, exc: Exception) -> SinkError:
    """The error for a write that failed; it names the system's code for the cause where there is one."""
    code = errno.errorcode.get(getattr(exc, "errno", None) or 0)
    cause = getattr(exc, "strerror", None) or str(exc)
    return SinkError(f"cannot write {path}: {cause}" + (f" ({code})" if code else ""))


def reopen(path: Path, size: int) -> IO[str]:
    """Open a text file to go on with its first `size` bytes; what an earlier run wrote after them is cut off.

    Raises:
        SinkError: It is shorter, or the file system refuses.
    """
    try:
        out = open(path, "r+", encoding="utf-8", newline="")  # noqa: SIM115 - closed by whom it is given to
        if out.seek(0, os.SEEK_END) < size:
            out.close()
            raise SinkError(f"cannot go on with {path}: it got shorter; start anew with --overwrite")
        out.truncate(size)
        out.seek(size)
    except OSError as exc:
        raise written(path, exc) from exc
    return out


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only when all of it is on the disk.

    Raises:
        SinkError: The file system refuses.
    """
    file = PartialFile(path)
    try:
        with open(file.partial, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except OSError as exc:
        file.abandon(worth_keeping=False)
        raise written(path, exc) from exc
    file.commit()
