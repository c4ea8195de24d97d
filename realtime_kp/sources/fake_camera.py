"""A simulated camera that can be unplugged, plugged in, busy or stalled, for tests of failures."""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


class FakeCamera:
    """Simulates a camera and its failures.

    It behaves like a capture of OpenCV on Video4Linux: opening an absent or busy camera gives a capture that
    is not opened, reading from an unplugged one fails immediately, and from a stalled one after the time-out.
    The first pixel of every frame holds the number of the frame, mod 256.

        camera = FakeCamera()
        with CameraSource(0, config, camera.open) as source: ...

    All methods may be called from any thread.

    Args:
        size_wh: Width and height of the frames.
        fps: Frames per second.

    Attributes:
        opened: Number of successful openings.
    """

    def __init__(self, size_wh: tuple[int, int] = (640, 480), fps: float = 30.0) -> None:
        self.opened = 0
        self._size_wh = size_wh
        self._fps = fps
        self._changed = threading.Condition()
        self._plugged = True
        self._stalled = False
        self._in_use: FakeCapture | None = None
        self._busy = False
        self._taken = 0

    def open(self, device: int | str, timeout_s: float) -> FakeCapture:
        """Open a capture; pass this method to `CameraSource` as `open_with`."""
        with self._changed:
            capture = FakeCapture(self, timeout_s)
            if self._plugged and not self._busy and self._in_use is None:
                self._in_use = capture
                self.opened += 1
            return capture

    def unplug(self) -> None:
        """Unplug the camera: reads fail."""
        with self._changed:
            self._plugged, self._in_use = False, None
            self._changed.notify_all()

    def plug(self, size_wh: tuple[int, int] | None = None) -> None:
        """Plug the camera in, with another frame size if one is given."""
        with self._changed:
            self._plugged, self._stalled = True, False
            self._size_wh = size_wh or self._size_wh

    def occupy(self, busy: bool = True) -> None:
        """Simulate that another program uses the camera, or has released it; an open capture keeps it."""
        with self._changed:
            self._busy = busy

    def stall(self, stalled: bool = True) -> None:
        """Stop sending frames, or continue."""
        with self._changed:
            self._stalled = stalled
            self._changed.notify_all()

    @property
    def in_use(self) -> bool:
        """Whether a capture is open and was not released."""
        return self._in_use is not None

    def _holds(self, capture: FakeCapture) -> bool:
        return self._in_use is capture

    def _read(self, capture: FakeCapture, timeout_s: float) -> NDArray[np.uint8] | None:
        with self._changed:
            deadline_s = time.perf_counter() + timeout_s
            self._changed.wait_for(lambda: not self._holds(capture), 1 / self._fps)
            while self._stalled and self._holds(capture):
                left_s = deadline_s - time.perf_counter()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            if not self._holds(capture):
                return None
            self._taken += 1
            return _picture(self._size_wh, self._taken)

    def _release(self, capture: FakeCapture) -> None:
        with self._changed:
            if self._holds(capture):
                self._in_use = None


class FakeCapture:
    """An open capture of a `FakeCamera`, with the methods of `cv2.VideoCapture`."""

    def __init__(self, camera: FakeCamera, timeout_s: float) -> None:
        self._camera = camera
        self._timeout_s = timeout_s

    def isOpened(self) -> bool:  # noqa: N802, D102
        return self._camera._holds(self)

    def read(self) -> tuple[bool, Any]:  # noqa: D102
        image = self._camera._read(self, self._timeout_s)
        return image is not None, image

    def get(self, prop: int) -> float:  # noqa: D102
        width, height = self._camera._size_wh
        known = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}
        return float({**known, cv2.CAP_PROP_FPS: self._camera._fps}.get(prop, 0))

    def set(self, prop: int, value: float) -> bool:  # noqa: D102
        return False

    def release(self) -> None:  # noqa: D102
        self._camera._release(self)


def _picture(size_wh: tuple[int, int], number: int) -> NDArray[np.uint8]:
    """A checkerboard that moves by one pixel per frame."""
    y, x = np.mgrid[: size_wh[1], : size_wh[0]]
    squares = (((x + number) // 16 + y // 16) % 2 * 120 + 60).astype(np.uint8)
    image = np.repeat(squares[..., np.newaxis], 3, axis=2)
    image[0, 0] = number % 256
    return image
