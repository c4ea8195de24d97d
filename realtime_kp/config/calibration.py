"""How a lens is calibrated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, parse_size, require


@dataclass(frozen=True, slots=True)
class CalibrateConfig:
    """The board, the lens to fit, and the files to write."""

    board: Annotated[str, Parameter(name="--board")]
    """Inner corners of the chessboard, such as 9x6; of a ChArUco board its squares, such as 11x8."""

    square_m: Annotated[float, Parameter(name="--square")]
    """Side of a square in metres, such as 0.025."""

    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("camera.yaml")
    """File of the lens, as OpenCV's FileStorage and --camera read it."""

    charuco: Annotated[str, Parameter(name="--charuco")] = ""
    """Dictionary of a ChArUco board's markers, such as 4X4_50; without it the board is a chessboard."""

    marker_m: Annotated[float | None, Parameter(name="--marker")] = None
    """Side of a marker in metres; without it three quarters of a square."""

    model: Annotated[Literal["radial-tangential", "fisheye"], Parameter(name="--lens")] = "radial-tangential"
    """The lens to fit; fisheye for lenses that see more than about 110 degrees."""

    max_views: Annotated[int, Parameter(name="--max-views")] = 40
    """Stop when this many different views of the board were collected."""

    coverage: Annotated[Path | None, Parameter(name="--coverage")] = None
    """Write a picture of where the board was seen to this file."""

    camera_size: Annotated[str, Parameter(name="--camera-size")] = "640x480"
    """Frame size requested from a camera: take the one that is used later."""

    overwrite: Annotated[bool, Parameter(name="--overwrite")] = False
    """Replace existing files."""

    window: Annotated[bool, Parameter(name="--window")] = True
    """Show what is found in a window; --no-window collects without one."""

    def __post_init__(self) -> None:
        check_types(self)
        well = re.fullmatch(r"\d{1,3}x\d{1,3}", self.board) is not None
        require(well, "board must be columns and rows such as 9x6", self.board)
        width, height = self.corners
        parse_size(self.camera_size, "camera_size")
        require(
            min(width, height) >= 3 and max(width, height) <= 100,
            "board must be from 3x3 to 100x100",
            self.board,
        )
        require(0 < self.square_m <= 100, "square must be above 0, up to 100 metres", self.square_m)
        marker_fits = self.marker_m is None or 0 < self.marker_m < self.square_m
        require(marker_fits, "marker must be above 0 and smaller than a square", self.marker_m)
        require(
            self.marker_m is None or bool(self.charuco), "marker needs charuco, the dictionary", self.marker_m
        )
        require(8 <= self.max_views <= 1000, "max_views must be 8 to 1000", self.max_views)

    @property
    def corners(self) -> tuple[int, int]:
        """`board` as two numbers."""
        return parse_size(self.board, "board")
