"""How sources are read, and where in their frames to look."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, number_as_text, parse_size, require

Box = tuple[int, int, int, int]  # left, top, width and height, pixels
_BOX = re.compile(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*0*([1-9]\d{0,5})\s*,\s*0*([1-9]\d{0,5})\s*")


@dataclass(frozen=True, slots=True)
class InputConfig:
    """How sources are read."""

    camera_size: Annotated[str | None, Parameter(name=["--camera-size", "camera-size"])] = "640x480"
    """Frame size requested from a camera; the camera may choose another."""

    camera_fps: Annotated[float | None, Parameter(name=["--camera-fps", "camera-fps"])] = 30.0
    """Frame rate requested from a camera."""

    camera_fourcc: Annotated[str | None, Parameter(name=["--camera-fourcc", "camera-fourcc"])] = "MJPG"
    """Pixel format requested from a camera; most reach their full frame rate only with MJPG."""

    timeout_s: float = 2.5
    """Seconds without a frame until a camera or stream counts as lost; opening may take twice as long."""

    reconnect: Annotated[str, Parameter(name=["--reconnect", "reconnect"])] = "auto"
    """Attempts to reopen a lost camera or stream: forever, never or a number; auto: forever, in live only."""

    max_pixels: Annotated[int, Parameter(name=["--max-pixels", "max-pixels"])] = 100_000_000
    """Frames and pictures that declare more pixels than this are rejected before decoding."""

    picture_fps: Annotated[float, Parameter(name=["--picture-fps", "picture-fps"])] = 10.0
    """Frame rate of a folder of pictures that is read as a video."""

    stream: int | None = None
    """Number of the video stream to read where an input holds several; null takes the largest."""

    mask: Annotated[Path | None, Parameter(name=["--mask", "mask"])] = None
    """Picture whose black parts are ignored, or a folder with one for each frame, by file name or number."""

    roi: Annotated[str | None, Parameter(name=["--roi", "roi"])] = None
    """Region X,Y,W,H in source pixels, all else is ignored; repeat it for several (in files: X,Y,W,H;...)."""

    points: Annotated[Path | None, Parameter(name=["--points", "points"])] = None
    """File of points of your own to follow: CSV with frame or time_s, x, y, name; or JSON like TAP-Vid's."""

    reference: Annotated[Path | None, Parameter(name=["--reference", "reference"])] = None
    """Picture of something flat, such as a poster or a book cover, to find in the frames and outline."""

    reference_size: Annotated[str | None, Parameter(name=["--reference-size", "reference-size"])] = None
    """Width and height of the reference picture in metres, as 0.42x0.297; with --camera its pose is told."""

    camera: Annotated[Path | None, Parameter(name=["--camera", "camera"])] = None
    """File of the lens: YAML of OpenCV, ROS or Kalibr, cameras.txt of COLMAP; calibrate makes one."""

    camera_name: Annotated[str | None, Parameter(name=["--camera-name", "camera-name"])] = None
    """Which camera of the file, where it holds several, such as cam1 or 2."""

    equalise: Annotated[Literal["none", "clahe"], Parameter(name=["--equalise", "equalise"])] = "none"
    """none, or clahe: network and tracker see a picture of equalised brightness; what is drawn stays."""

    ignore: Annotated[Literal["nothing", "overlays"], Parameter(name=["--ignore", "ignore"])] = "nothing"
    """nothing, or overlays: what stands still on the screen while the picture moves (logos, clocks)."""

    range: str | None = None
    """Values LO,HI that are shown as black and white, of pictures and cameras of 16 bits; null finds them."""

    def __post_init__(self) -> None:
        number_as_text(self, "reconnect")
        number_as_text(self, "camera_name")
        check_types(self)
        if self.camera_size is not None:
            parse_size(self.camera_size, "camera_size")
        require(
            self.camera_fps is None or 0 < self.camera_fps <= 1000,
            "camera_fps must be above 0, up to 1000",
            self.camera_fps,
        )
        require(
            self.camera_fourcc is None or re.fullmatch(r"[!-~]{4}", self.camera_fourcc) is not None,
            "camera_fourcc must be four characters such as MJPG",
            self.camera_fourcc,
        )
        require(
            re.fullmatch(r"auto|forever|never|\d{1,6}", self.reconnect) is not None,
            "reconnect must be auto, forever, never or a whole number up to 999999",
            self.reconnect,
        )
        require(0 < self.timeout_s <= 3600, "timeout_s must be above 0, up to 3600", self.timeout_s)
        require(self.max_pixels >= 1, "max_pixels must be at least 1", self.max_pixels)
        require(0 < self.picture_fps <= 1000, "picture_fps must be above 0, up to 1000", self.picture_fps)
        require(self.stream is None or self.stream >= 0, "stream must be at least 0", self.stream)
        require(self.equalise in ("none", "clahe"), "equalise must be none or clahe", self.equalise)
        require(self.ignore in ("nothing", "overlays"), "ignore must be nothing or overlays", self.ignore)
        good = self.roi is None or len(self.regions) == len(self.roi.split(";"))
        require(good, "roi must be X,Y,W,H in whole pixels, W and H above 0, such as 0,0,320,240", self.roi)
        require(
            self.reference_size is None or self.reference_size_m is not None,
            "reference_size must be width and height in metres, such as 0.42x0.297",
            self.reference_size,
        )
        require(
            self.range is None or self.value_range is not None,
            "range must be two numbers such as 100,4095, the lower first",
            self.range,
        )

    @property
    def regions(self) -> tuple[Box, ...]:
        """`roi` as left, top, width and height, pixels; empty where it is not given, or is none."""
        boxes = [_BOX.fullmatch(text) for text in (self.roi or "").split(";")]
        return tuple((int(b[1]), int(b[2]), int(b[3]), int(b[4])) for b in boxes if b is not None)

    @property
    def reference_size_m(self) -> tuple[float, float] | None:
        """`reference_size` as two numbers, metres; None where it is not given, or is none."""
        found = re.fullmatch(r"\s*(\d*\.?\d+)\s*x\s*(\d*\.?\d+)\s*", self.reference_size or "")
        size_m = None if found is None else (float(found[1]), float(found[2]))
        return None if size_m is None or min(size_m) <= 0 else size_m

    @property
    def value_range(self) -> tuple[float, float] | None:
        """`range` as two numbers; None where it is not given, or is none."""
        number = r"[+-]?\d+(?:\.\d*)?"
        found = re.fullmatch(rf"\s*({number})\s*,\s*({number})\s*", self.range or "")
        if found is None or float(found[1]) >= float(found[2]):
            return None
        return float(found[1]), float(found[2])

    @property
    def reconnect_attempts(self) -> int | None:
        """Maximum number of consecutive failed attempts; None is unlimited, 0 never reconnects."""
        if self.reconnect == "forever":
            return None
        return int(self.reconnect) if self.reconnect.isdecimal() else 0
