"""Reading of a picture as upright 8-bit BGR."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.sources.value_range import ValueRange

if TYPE_CHECKING:
    from PIL import Image

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".avif"}
)


_PICTURE_STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
_VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"\x30\x26\xb2\x75", b"G@")
# A raw MJPEG stream starts like a JPEG file.
_ROW_SUFFIXES = frozenset({".mjpg", ".mjpeg"})


def is_picture_file(path: Path) -> bool:
    """Whether a file is a picture: by its first bytes, or by its name where they do not tell."""
    suffix = path.suffix.lower()
    if not os.path.isfile(path) or suffix in _ROW_SUFFIXES:
        return suffix in PICTURE_SUFFIXES
    try:
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError:
        start = b""
    riff = start[:4] == b"RIFF" and start[8:]
    if start.startswith(_PICTURE_STARTS) or riff == b"WEBP":
        return True
    if start[4:12] in (b"ftypavif", b"ftypavis"):
        return True
    if start.startswith(_VIDEO_STARTS) or riff == b"AVI " or start[4:8] == b"ftyp":
        return False
    return suffix in PICTURE_SUFFIXES


def read_picture(
    path: Path, max_pixels: int = InputConfig().max_pixels, values: ValueRange | None = None
) -> NDArray[np.uint8]:
    """Read a picture and apply its EXIF orientation.

    Values of more than eight bits, and floats, are scaled to eight; an alpha channel is blended onto black.

    Args:
        path: The file.
        max_pixels: Pictures that declare more are refused before decoding. The limit of Pillow, about 90
            million, applies as well.
        values: Range of values of more than eight bits; None takes that of the picture itself.

    Returns:
        `(H, W, 3) uint8`, BGR.

    Raises:
        SourceError: The file is missing, is no picture, is damaged, or declares too large a size.
    """
    with opened_picture(path, max_pixels) as picture:
        return to_bgr(picture, ValueRange(path.name) if values is None else values)


def deep_values(path: Path, max_pixels: int) -> NDArray[Any] | None:
    """The values of a picture of more than eight bits, `(H, W)`; None for an ordinary one.

    Raises:
        SourceError: As for `read_picture`.
    """
    with opened_picture(path, max_pixels) as picture:
        return np.asarray(picture) if is_deep(picture) else None


@contextmanager
def opened_picture(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open a picture; errors of Pillow, while it is open too, are raised as `SourceError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Above its limit Pillow only warns, above twice the limit it refuses; both are errors here.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                if opened.width * opened.height > max_pixels:
                    raise SourceError(
                        f"{path} declares {opened.width}x{opened.height}, more than --max-pixels allows"
                    )
                yield opened
    except FileNotFoundError as exc:
        raise SourceError(f"there is no file {path}") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise SourceError(f"{path} declares too many pixels: {exc}") from exc
    except UnidentifiedImageError as exc:
        raise SourceError(f"{path} is not a picture that can be read") from exc
    except (OSError, SyntaxError, ValueError, EOFError) as exc:
        raise SourceError(f"{path} cannot be read: {exc}") from exc


def to_bgr(picture: Image.Image, values: ValueRange) -> NDArray[np.uint8]:
    """Convert an open picture of Pillow to upright `(H, W, 3) uint8`, BGR."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if is_deep(picture):
        grey = values.to_eight_bits(np.asarray(picture))
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return np.asarray(cv2.cvtColor(np.asarray(picture.convert("RGB")), cv2.COLOR_RGB2BGR), np.uint8)


def is_deep(picture: Image.Image) -> bool:
    """Whether the values of a picture have more than eight bits."""
    return picture.mode.startswith(("I", "F"))
