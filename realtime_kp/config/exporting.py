"""What of a tracks table is exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, number_as_text, parse_size, require


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """What is exported."""

    size: Annotated[str | None, Parameter(name="--size")] = None
    """Width and height of the frames, such as 640x480, where the table does not tell them."""

    min_length: Annotated[int, Parameter(name="--min-length")] = 2
    """Leave out tracks that were seen in fewer of the frames that --every leaves."""

    every: Annotated[int | None, Parameter(name="--every")] = None
    """Export every Nth frame only, from the first one with tracks on; default: all, to colmap at most 150."""

    video: Annotated[str | None, Parameter(name="--video")] = None
    """The video of the tracks, for colmap, vot, mcap and rerun: its frames are written too."""

    camera: Annotated[Path | None, Parameter(name="--camera")] = None
    """File of the lens, for colmap and mcap; without one COLMAP finds the focal length, mcap has pixels."""

    camera_name: Annotated[str | None, Parameter(name="--camera-name")] = None
    """Which camera of the file, where it holds several, such as cam1 or 2."""

    overwrite: Annotated[bool, Parameter(name="--overwrite")] = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        number_as_text(self, "camera_name")
        check_types(self)
        if self.size is not None:
            parse_size(self.size, "size")
        require(self.min_length >= 1, "min_length must be at least 1", self.min_length)
        require(self.every is None or self.every >= 1, "every must be at least 1", self.every)

    @property
    def size_wh(self) -> tuple[int, int] | None:
        """`size` as two numbers; None without one."""
        return None if self.size is None else parse_size(self.size, "size")
