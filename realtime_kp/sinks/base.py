"""What every sink offers, and how files come under their final names."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

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


class PartialFile:
    """A file that carries its final name only when it is whole: `clip.mp4` grows as `clip.partial.mp4`.

    Args:
        path: The final name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.stem}.partial{path.suffix}")

    def commit(self) -> None:
        """Give the whole file its final name.

        Raises:
            SinkError: The file system refuses.
        """
        try:
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
            faults: What closing may fail with.

        Raises:
            SinkError: Closing failed after a run that did not.
        """
        try:
            close()
        except faults as exc:
            self.abandon(worth_keeping=worth_keeping)
            if error is None:
                raise written(self.path, exc) from exc
            return
        if error is None:
            self.commit()
        else:
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
    """The error for a write that failed."""
    return SinkError(f"cannot write {path}: {getattr(exc, 'strerror', None) or exc}")


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
