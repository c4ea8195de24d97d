"""Window on the screen, by HighGUI of OpenCV."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SinkError

_PROBE = (
    "import cv2, numpy as np; cv2.namedWindow('probe'); "
    "cv2.imshow('probe', np.zeros((8, 8, 3), np.uint8)); cv2.waitKey(1); cv2.destroyAllWindows()"
)
_PROBE_S = 20.0
_SETTLE_MS = 100
_FONT_DIRS = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/TTF", "/usr/share/fonts")
_LEAST_DRAG_PX = 8
_LARGEST_WH = (1600, 900)

Click = tuple[float, float, bool]  # x, y in pixels of the image, and whether it was the right button
Drag = tuple[int, int, int, int]  # from x, y to x, y, in pixels of the image


class Window:
    """Shows images and reads keys. Use it on the main thread only.

    Args:
        title: Title of the window.

    Attributes:
        dragging: What the mouse is being dragged across; None while the button is up.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._size_wh: tuple[int, int] | None = None
        self._heard: deque[str] = deque()
        self._pressed_at: tuple[int, int] | None = None
        self._dragged: deque[Drag] = deque()
        self._clicked: deque[Click] = deque()
        self.dragging: Drag | None = None

    def __enter__(self) -> Self:
        _quiet_qt()
        try:
            cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as exc:
            raise SinkError("cannot open a window; use --no-window") from exc
        # A Qt window that is resized before it is on the screen can miss its first expose event and stay
        # blank.
        self._read_key(cv2.waitKey(_SETTLE_MS))
        cv2.setMouseCallback(self.title, self._on_mouse)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            cv2.destroyWindow(self.title)
        except cv2.error:
            return  # the user closed it already

    def show(self, image_bgr: NDArray[np.uint8]) -> None:
        """Show an image; a new size resizes the window."""
        height, width = image_bgr.shape[:2]
        if (width, height) != self._size_wh:
            shrink = min(1.0, _LARGEST_WH[0] / width, _LARGEST_WH[1] / height)
            cv2.resizeWindow(self.title, round(width * shrink), round(height * shrink))
            self._size_wh = (width, height)
        cv2.imshow(self.title, image_bgr)
        # The image appears only after the events of the window were processed.
        self._read_key(cv2.pollKey())

    def key(self, wait_ms: int = 1) -> str | None:
        """The pressed key: its character, `"esc"`, or None; also processes window events."""
        if not self._heard:
            self._read_key(cv2.waitKey(max(1, wait_ms)))
        return self._heard.popleft() if self._heard else None

    def drag(self) -> Drag | None:
        """What the mouse was dragged across with the left button since the last call; None for nothing.

        Less than 8 px is a click.
        """
        return self._dragged.popleft() if self._dragged else None

    def click(self) -> Click | None:
        """Where the mouse was clicked since the last call; None for nothing."""
        return self._clicked.popleft() if self._clicked else None

    def _on_mouse(self, event: int, x: int, y: int, _flags: int, _data: object) -> None:
        if event == cv2.EVENT_RBUTTONDOWN:
            self._clicked.append((x, y, True))
        elif event == cv2.EVENT_LBUTTONDOWN:
            self._pressed_at = x, y
        elif self._pressed_at is not None:
            self.dragging = (*self._pressed_at, x, y)
            if event == cv2.EVENT_LBUTTONUP:
                if max(abs(x - self._pressed_at[0]), abs(y - self._pressed_at[1])) < _LEAST_DRAG_PX:
                    self._clicked.append((*self._pressed_at, False))
                else:
                    self._dragged.append(self.dragging)
                self._pressed_at = self.dragging = None

    def _read_key(self, code: int) -> None:
        if code >= 0:
            self._heard.append("esc" if code & 0xFF == 27 else chr(code & 0xFF))

    @property
    def closed(self) -> bool:
        """Whether the user closed the window."""
        try:
            return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:
            return True


def window_problem() -> str | None:
    """Reason why no window can be opened; None where one can.

    Tested in a process of its own, since Qt aborts a process without a usable display.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return "there is no display (DISPLAY is not set)"
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    if probe.returncode == 0:
        return None
    lines = [line.strip() for line in probe.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if "could not connect" in line or "not implemented" in line]
    return (telling or lines or ["the window system refuses"])[0]


def _quiet_qt() -> None:
    # The wheel lacks the fonts of Qt; without them Qt prints many warnings.
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
    fonts = next((folder for folder in _FONT_DIRS if os.path.isdir(folder)), None)
    if fonts is not None and sys.platform.startswith("linux"):
        os.environ.setdefault("QT_QPA_FONTDIR", fonts)
