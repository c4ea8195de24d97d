"""Annotated pictures as files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SinkError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.base import check_output, write_atomically, write_error

WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})


class PicturesSink:
    """Writes one annotated picture per frame, named after its input picture.

    Args:
        target: A folder, created if missing, or a file for a single picture.
        overwrite: Whether existing files may be replaced.
        single: Whether `target` is a file.
    """

    def __init__(self, target: Path, *, overwrite: bool = False, single: bool = False) -> None:
        self.target = target
        self._overwrite = overwrite
        self._single = single
        self._taken: set[Path] = set()
        self.frames = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Write one picture.

        Raises:
            SinkError: It exists already, or cannot be written.
        """
        if image_bgr is None:
            return
        if self.frames == 0 and not self._single:
            self._make_folder()
        origin = Path(tracked.frame.origin or f"frame_{tracked.frame.index:06d}.png")
        path = self.target if self._single else _target(self.target, origin, self._taken)
        self._taken.add(path)
        check_output(path, overwrite=self._overwrite, inputs=[tracked.frame.origin])
        write_picture(path, image_bgr)
        self.frames += 1

    def _make_folder(self) -> None:
        try:
            self.target.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise write_error(self.target, exc) from exc


def picture_targets(folder: Path, origins: Iterable[Path]) -> list[Path]:
    """Unique names of annotated pictures in a folder: `<stem>_tracks<suffix>`."""
    taken: list[Path] = []
    for origin in origins:
        taken.append(_target(folder, origin, taken))
    return taken


def _target(folder: Path, origin: Path, taken: Collection[Path]) -> Path:
    suffix = origin.suffix.lower() if origin.suffix.lower() in WRITABLE else ".png"
    path = folder / f"{origin.stem}_tracks{suffix}"
    if path in taken:
        # a.jpg and a.png of one folder, or a.png of two folders, must not share an output.
        stem, number = origin.name.replace(".", "_"), 2
        path = folder / f"{stem}_tracks{suffix}"
        while path in taken:
            path, number = folder / f"{stem}_{number}_tracks{suffix}", number + 1
    return path


def write_picture(path: Path, image_bgr: NDArray[np.uint8]) -> None:
    """Write a picture in the format of its suffix, by an atomic rename.

    Raises:
        SinkError: The suffix is unknown, or the file cannot be written.
    """
    if path.suffix.lower() not in WRITABLE:
        raise SinkError(f"cannot write {path}: pictures are written as {' '.join(sorted(WRITABLE))}")
    ok, data = cv2.imencode(path.suffix.lower(), image_bgr)
    if not ok:
        raise SinkError(f"cannot write {path}: the encoder refused a picture of {image_bgr.shape}")
    write_atomically(path, data.tobytes())
