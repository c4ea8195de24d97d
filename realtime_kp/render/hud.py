"""Head-up display: figures of the run in a corner of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import HudCorner, HudLines

Image = NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TEXT = (235, 235, 235)
_DIM = 0.4
_LEAST_SCALE = 0.3
_MOST_OF_PICTURE = 0.08
_BETWEEN = "   "

HELP_LINES = (
    "q or Esc: quit",
    "space: pause,  . : one frame further",
    "k: keypoints,  t: trails,  i: figures",
    "e / r: threshold down / up",
    "s: snapshot,  v: record",
    "drag: look only there,  m: everywhere / there,  c: clear",
    "n: this picture (or the region) is the reference,  b: none",
    "click: follow this point,  right click: give it up",
    "h: this help",
)


@dataclass(frozen=True, slots=True)
class HudInfo:
    """Values shown by the HUD.

    Attributes:
        fps: Recent frames per second.
        latency_p50_ms: Recent end-to-end latency; None before the first frame.
        latency_p95_ms: The same.
        queue_depth: Number of frames waiting for the network.
        dropped: Number of frames dropped so far.
        keypoints: Number of keypoints in the newest detection; None before the first.
        detections_per_s: Recent detections per second.
        detection_age: Frames since the frame of the newest detection; None before the first.
        tracks: Number of confirmed tracks in this frame.
        running_on: Engine, device and precision.
        notes: Short words such as PAUSED or REC.
        progress: How much of a recording is done, where it is processed as fast as possible: latency and
            queues then tell nothing. Empty where frames are due at a time.
    """

    fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    queue_depth: int
    dropped: int
    keypoints: int | None
    detections_per_s: float
    detection_age: int | None
    tracks: int
    running_on: str
    notes: tuple[str, ...] = ()
    progress: str = ""

    def parts(self) -> tuple[str, ...]:
        """The most important figures, those that are needed most first; messages at the end."""
        latency = "" if self.latency_p95_ms is None or self.progress else f"p95 {self.latency_p95_ms:.0f} ms"
        figures = (
            f"{self.fps:.1f} {'frames/s' if self.progress else 'FPS'}",
            f"{self.tracks} tracks",
            self.progress or latency,
            f"{self.dropped} dropped" if self.dropped else "",
        )
        return (*(figure for figure in figures if figure), *self.notes)

    def lines(self) -> tuple[str, ...]:
        """All figures."""
        latency = "latency -"
        if self.latency_p50_ms is not None and self.latency_p95_ms is not None:
            latency = f"latency p50 {self.latency_p50_ms:.0f} ms  p95 {self.latency_p95_ms:.0f} ms"
        keypoints = "-" if self.keypoints is None else str(self.keypoints)
        found = f"keypoints {keypoints}  tracks {self.tracks}"
        if self.progress:
            return (f"{self.fps:.1f} frames/s  {self.progress}", found, self.running_on, *self.notes)
        return (
            f"{self.fps:.1f} FPS  {latency}",
            found,
            f"detections {self.detections_per_s:.1f}/s, {_frames_old(self.detection_age)}",
            f"queue {self.queue_depth}  dropped {self.dropped}",
            self.running_on,
            *self.notes,
        )


def _frames_old(age: int | None) -> str:
    if age is None:
        return "none yet"
    return "of this frame" if age == 0 else f"{age} frame{'s' if age > 1 else ''} old"


def draw_hud(image: Image, info: HudInfo, lines: HudLines = "full", corner: HudCorner = "top-left") -> None:
    """Draw figures into a corner of `image`, on at most 8 % of it.

    On small and on upright pictures the letters are smaller, and where those could not be read, figures are
    left out, the most important last.
    """
    figures = info.parts() if lines == "line" else info.lines()
    while figures:
        shown = (_BETWEEN.join(figures),) if lines == "line" else figures
        for scale in np.arange(_scale(image), _LEAST_SCALE - 1e-6, -0.05):
            width, height = panel_size(image, shown, float(scale))
            if (
                width <= image.shape[1]
                and width * height <= _MOST_OF_PICTURE * image.shape[0] * image.shape[1]
            ):
                left = image.shape[1] - width if corner.endswith("right") else 0
                top = image.shape[0] - height if corner.startswith("bottom") else 0
                draw_panel(image, shown, (left, top), float(scale))
                return
        kept = len(figures) - len(info.notes)
        figures = (*figures[: max(0, kept - 1)], *figures[kept:]) if kept > 0 else figures[:-1]


def draw_help(image: Image) -> None:
    """Draw the list of keys into the bottom left corner of `image`."""
    _, height = panel_size(image, HELP_LINES)
    draw_panel(image, HELP_LINES, (0, image.shape[0] - height))


def draw_banner(image: Image, text: str) -> None:
    """Draw a line of text into the middle of `image`."""
    width, height = panel_size(image, (text,))
    draw_panel(image, (text,), ((image.shape[1] - width) // 2, (image.shape[0] - height) // 2))


def waiting_picture(text: str, size_wh: tuple[int, int] = (640, 480)) -> Image:
    """A dark image with a line of text, shown before the first frame."""
    image = np.full((size_wh[1], size_wh[0], 3), 48, np.uint8)
    draw_panel(image, (text,), (0, 0))
    return image


def panel_size(image: Image, lines: tuple[str, ...], scale: float | None = None) -> tuple[int, int]:
    """Width and height in pixels of a panel with these lines; the scale of the letters fits the image."""
    scale = _scale(image) if scale is None else scale
    line_height, margin = _metrics(scale)
    widths = [cv2.getTextSize(line, _FONT, scale, 1)[0][0] for line in lines]
    return max(widths, default=0) + 2 * margin, line_height * len(lines) + 2 * margin


def draw_panel(
    image: Image, lines: tuple[str, ...], corner_xy: tuple[int, int], scale: float | None = None
) -> None:
    """Draw lines of text on a darkened rectangle; what does not fit is clipped."""
    scale = _scale(image) if scale is None else scale
    line_height, margin = _metrics(scale)
    width, height = panel_size(image, lines, scale)
    left, top = (max(0, c) for c in corner_xy)
    box = image[top : top + height, left : left + width]
    box[:] = cv2.convertScaleAbs(box, alpha=_DIM)
    for number, line in enumerate(lines, start=1):
        place = (left + margin, top + margin + number * line_height - line_height // 4)
        cv2.putText(image, line, place, _FONT, scale, _TEXT, 1, cv2.LINE_AA)


def _scale(image: Image) -> float:
    return float(max(0.35, 0.45 * image.shape[0] / 480))


def _metrics(scale: float) -> tuple[int, int]:
    """Height of a line and width of the margin, pixels."""
    return round(38 * scale), round(16 * scale)
