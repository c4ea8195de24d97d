"""Cameras, by OpenCV."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import InputConfig, parse_size
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo, while_open
from realtime_kp.sources.captured_image import captured_bgr
from realtime_kp.sources.value_range import ValueRange

_RETRIES = 3


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used."""

    def isOpened(self) -> bool: ...  # noqa: N802, D102
    def read(self) -> tuple[bool, Any]: ...  # noqa: D102
    def get(self, prop: int) -> float: ...  # noqa: D102
    def set(self, prop: int, value: float) -> bool: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102


def open_capture(device: int | str, timeout_s: float) -> Capture:
    """Open a camera with OpenCV, with a time-out for reads where the system supports one."""
    if sys.platform.startswith("linux"):
        # The time-out of Video4Linux can be set by the environment only, in whole seconds.
        os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(max(1, math.floor(timeout_s)))
        return cv2.VideoCapture(device, cv2.CAP_V4L2)
    return cv2.VideoCapture(device)


class CameraSource:
    """Frames of a camera. `time_s` counts from the first frame on the capture clock.

    Args:
        device: Index, or a path such as `/dev/video2`.
        config: Requested size, rate and pixel format, and the read time-out.
        open_with: Opens the capture; OpenCV by default.
    """

    def __init__(
        self,
        device: int | str,
        config: InputConfig | None = None,
        open_with: Callable[[int | str, float], Capture] = open_capture,
    ) -> None:
        self.device = device
        self.config = config or InputConfig()
        self.damage: str | None = None
        self._open_with = open_with
        self._capture: Capture | None = None
        self._info: SourceInfo | None = None
        self._fourcc = ""
        self._values = ValueRange(f"camera {device}", self.config.value_range)

    @property
    def _name(self) -> str:
        return f"camera {self.device}"

    @property
    def info(self) -> SourceInfo:
        """Properties that the camera chose; valid while it is open."""
        return while_open(self._info)

    def __enter__(self) -> Self:
        if self._open_with is open_capture:
            self._check_present()
        capture = self._open_with(self.device, self.config.timeout_s)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"cannot open {self._name}: is it plugged in, free, and may you read it? "
                "`realtime-kp doctor` lists the cameras of this machine"
            )
        self._capture = capture
        try:
            self._request(capture)
            self._info = self._describe(capture)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def __iter__(self) -> Iterator[Frame]:
        assert self._capture is not None
        index, failures = 0, 0
        first_at_s: float | None = None
        last_at_s = time.perf_counter()
        patience_s = 0.9 * min(self.config.timeout_s, max(1, math.floor(self.config.timeout_s)))
        while True:
            ok, image = self._capture.read()
            grabbed_at_s = time.perf_counter()
            if not ok:
                failures += 1
                # A disconnected camera fails immediately, a stalled one after the read time-out.
                if failures >= _RETRIES or grabbed_at_s - last_at_s >= patience_s:
                    raise SourceError(f"{self._name} has stopped sending frames")
                continue
            failures, last_at_s = 0, grabbed_at_s
            first_at_s = grabbed_at_s if first_at_s is None else first_at_s
            yield Frame(index, grabbed_at_s - first_at_s, grabbed_at_s, self._converted(image))
            index += 1

    def _converted(self, image: Any) -> NDArray[np.uint8]:
        return captured_bgr(image, self.info.size_wh, self._fourcc, self._values, self._name)

    def _describe(self, capture: Capture) -> SourceInfo:
        width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self._fourcc = _fourcc_text(int(capture.get(cv2.CAP_PROP_FOURCC)))
        size = (width, height) if width > 0 and height > 0 else None
        return SourceInfo(self._name, size, fps if 0 < fps <= 1000 else None, None, live=True)

    def _check_present(self) -> None:
        if not sys.platform.startswith("linux"):
            return
        path = Path(f"/dev/video{self.device}" if isinstance(self.device, int) else self.device)
        if not path.exists():
            raise SourceError(
                f"there is no {self._name} ({path} does not exist); try `realtime-kp live demo`"
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise SourceError(f"no permission to use {path}; add yourself to the group 'video'")

    def _request(self, capture: Capture) -> None:
        # The pixel format comes first: the available sizes and rates depend on it.
        if self.config.camera_fourcc is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self.config.camera_fourcc))
        if self.config.camera_size is not None:
            width, height = parse_size(self.config.camera_size, "camera_size")
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if self.config.camera_fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self.config.camera_fps)


def _fourcc_text(code: int) -> str:
    return "".join(chr(code >> shift & 255) for shift in (0, 8, 16, 24)) if code > 0 else ""
