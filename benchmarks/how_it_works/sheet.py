"""A sheet to draw on: magnified parts of frames with dots, rings, arrows and labels in their places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

BLACK, WHITE, GREY = (0, 0, 0), (245, 245, 245), (160, 166, 174)
ORANGE, GREEN, YELLOW, RED = (255, 150, 40), (60, 220, 130), (255, 220, 60), (255, 80, 80)
PANEL_Y, PANEL_HEIGHT, LEGEND_Y = 34, 284, 340  # of a sheet of 900 x 360 pixels
COLOURS = (ORANGE, GREEN, YELLOW, RED, (80, 170, 255), (230, 110, 255), WHITE)
_GROUND: Colour = (18, 20, 24)
_FINE = 2  # drawn at twice the size: lines are smooth when it is reduced
_SHADES = 240  # of the palette of a file, beside the colours above


@dataclass(frozen=True, slots=True)
class View:
    """A magnified part of a frame on a sheet.

    Attributes:
        corner_xy: Its top left corner on the sheet, pixels.
        size_wh: Its width and height on the sheet, pixels.
        centre_xy: What of the frame is in its middle, pixels of the frame.
        zoom: Pixels of the sheet per pixel of the frame.
    """

    corner_xy: Point
    size_wh: tuple[int, int]
    centre_xy: Point
    zoom: float

    def at(self, xy: NDArray[np.floating]) -> list[Point]:
        """Places on the sheet of positions `(N, 2)` in the frame."""
        middle = np.add(self.corner_xy, np.array(self.size_wh) / 2)
        places = middle + (np.asarray(xy, np.float64).reshape(-1, 2) - self.centre_xy) * self.zoom
        return [(float(x), float(y)) for x, y in places]

    def inside(self, xy: NDArray[np.floating], margin_px: float = 0.0) -> NDArray[np.bool_]:
        """`(N,) bool`: which positions `(N, 2)` it shows, this far from its edges on the sheet."""
        reach = (np.array(self.size_wh) / 2 - margin_px) / self.zoom
        return np.asarray((np.abs(xy - np.array(self.centre_xy)) <= reach).all(axis=-1))


class Sheet:
    """A dark picture; all places, lengths and widths are pixels of the file.

    Args:
        size_wh: Width and height.
    """

    def __init__(self, size_wh: tuple[int, int] = (900, 360)) -> None:
        self.size_wh = size_wh
        self._image = Image.new("RGB", (size_wh[0] * _FINE, size_wh[1] * _FINE), _GROUND)
        self._draw = ImageDraw.Draw(self._image)

    def show(self, view: View, image_rgb: NDArray[np.uint8]) -> None:
        """Show a part of a frame."""
        (left, top), (width, height) = view.corner_xy, view.size_wh
        reach = np.array(view.size_wh) / 2 / view.zoom
        # The centre of the top left pixel is (0, 0), its corner is half a pixel from there.
        first, last = np.array(view.centre_xy) + 0.5 - reach, np.array(view.centre_xy) + 0.5 + reach
        part = Image.fromarray(image_rgb).transform(
            (width * _FINE, height * _FINE),
            Image.Transform.EXTENT,
            (*first.tolist(), *last.tolist()),
            Image.Resampling.BICUBIC,
            fillcolor=_GROUND,
        )
        self._image.paste(part, (round(left * _FINE), round(top * _FINE)))

    def patch(self, corner_xy: Point, side_px: int, values: NDArray[np.floating]) -> None:
        """Show a patch `(S, S)` of values from -1 to 1, magnified and smooth."""
        grey = Image.fromarray(np.clip(128 + 127 * values, 0, 255).astype(np.uint8))
        large = grey.resize((side_px * _FINE, side_px * _FINE), Image.Resampling.BICUBIC)
        self._image.paste(large.convert("RGB"), self._box((*corner_xy, 0, 0))[:2])

    def text(
        self, place: Point, text: str, size_px: int = 14, colour: Colour = WHITE, anchor: str = "lm"
    ) -> None:
        """Write a line; `anchor` is Pillow's, `lm` the middle of its left edge."""
        font = ImageFont.load_default(size_px * _FINE)
        self._draw.text((place[0] * _FINE, place[1] * _FINE), text, colour, font, anchor)

    def dot(self, place: Point, radius_px: float, colour: Colour) -> None:
        """Draw a disc with a dark rim."""
        x, y = place
        r = radius_px + 0.8
        self._draw.ellipse(self._box((x - r, y - r, x + r, y + r)), (0, 0, 0))
        r = radius_px
        self._draw.ellipse(self._box((x - r, y - r, x + r, y + r)), colour)

    def ring(self, place: Point, radius_px: float, colour: Colour, width_px: float = 1.5) -> None:
        """Draw a ring."""
        x, y = place
        box = self._box((x - radius_px, y - radius_px, x + radius_px, y + radius_px))
        self._draw.ellipse(box, None, colour, round(width_px * _FINE))

    def frame(
        self, corner_xy: Point, size_wh: tuple[float, float], colour: Colour, width_px: float = 1.5
    ) -> None:
        """Draw a rectangle."""
        (x, y), (width, height) = corner_xy, size_wh
        self._draw.rectangle(self._box((x, y, x + width, y + height)), None, colour, round(width_px * _FINE))

    def line(self, places: Iterable[Point], colour: Colour, width_px: float = 1.5) -> None:
        """Draw a line through places."""
        points = [(x * _FINE, y * _FINE) for x, y in places]
        self._draw.line(points, colour, round(width_px * _FINE), "curve")

    def arrow(self, start: Point, end: Point, colour: Colour, width_px: float = 1.5) -> None:
        """Draw an arrow."""
        step = np.subtract(end, start)
        length = float(np.hypot(*step))
        if length < 1:
            return
        along, head = step / length, min(7.0, length)
        across = np.array([-along[1], along[0]])
        back = np.array(end) - head * along
        self.line([start, (float(back[0]), float(back[1]))], colour, width_px)
        corners = [np.array(end), back + 0.45 * head * across, back - 0.45 * head * across]
        self._draw.polygon([(float(x) * _FINE, float(y) * _FINE) for x, y in corners], colour)

    def save(self, path: Path) -> None:
        """Write it as a PNG with a palette."""
        small = self._image.resize(self.size_wh, Image.Resampling.LANCZOS)
        shades = small.quantize(_SHADES, Image.Quantize.MEDIANCUT).getpalette() or []
        palette = Image.new("P", (1, 1))
        # Colours of few pixels would be merged with others.
        palette.putpalette(
            [*shades[: 3 * _SHADES], *(value for colour in (*COLOURS, GREY, BLACK) for value in colour)]
        )
        small.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)

    def _box(self, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        left, top, right, bottom = (round(value * _FINE) for value in box)
        return left, top, right, bottom
