"""What of a tracks table is exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, parse_size, require


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """What is exported."""

    size: Annotated[str | None, Parameter(name="--size")] = None
    """Width and height of the frames, such as 640x480, where the table does not tell them."""

    min_length: Annotated[int, Parameter(name="--min-length")] = 2
    """Leave out tracks that were seen in fewer frames."""

    every: Annotated[int, Parameter(name="--every")] = 1
    """Export every Nth frame only."""

    overwrite: Annotated[bool, Parameter(name="--overwrite")] = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        check_types(self)
        if self.size is not None:
            parse_size(self.size, "size")
        require(self.min_length >= 1, "min_length must be at least 1", self.min_length)
        require(self.every >= 1, "every must be at least 1", self.every)

    @property
    def size_wh(self) -> tuple[int, int] | None:
        """`size` as two numbers; None without one."""
        return None if self.size is None else parse_size(self.size, "size")
