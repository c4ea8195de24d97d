"""Reading one picture, the right way up, as 8-bit BGR."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"}
)


_PICTURE_STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
_VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"\x30\x26\xb2\x75", b"G@")
# A row of JPEG pictures without a container begins as a picture does.
_ROW_SUFFIXES = frozenset({".mjpg", ".mjpeg"})


def is_picture_file(path: Path) -> bool:
    """Whether a file is read as a picture: its first bytes tell, and where they do not, its name."""
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
    if start.startswith(_VIDEO_STARTS) or riff == b"AVI " or start[4:8] == b"ftyp":
        return False
    return suffix in PICTURE_SUFFIXES


def read_picture(path: Path, max_pixels: int = InputConfig().max_pixels) -> NDArray[np.uint8]:
    """Read a picture with its EXIF orientation applied.

    Sixteen-bit grey is scaled to 8 bits, an alpha channel is laid on black.

    Args:
        path: The file.
        max_pixels: A picture that declares more is refused, before it is decoded. Pillow's own limit, of
            about 90 million, holds besides.

    Returns:
        `(H, W, 3) uint8`, BGR.

    Raises:
        SourceError: The file is missing, is no picture, is damaged, or declares an absurd size.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow refuses twice its limit and only warns above it; here both are refusals.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                if opened.width * opened.height > max_pixels:
                    raise SourceError(
                        f"{path} declares {opened.width}x{opened.height}, more than --max-pixels allows"
                    )
                upright = ImageOps.exif_transpose(opened)
                return _to_bgr(upright)
    except FileNotFoundError as exc:
        raise SourceError(f"there is no file {path}") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise SourceError(f"{path} declares too many pixels to be trusted: {exc}") from exc
    except UnidentifiedImageError as exc:
        raise SourceError(f"{path} is not a picture that can be read") from exc
    except (OSError, SyntaxError, ValueError) as exc:
        raise SourceError(f"{path} cannot be read: {exc}") from exc


def _to_bgr(picture: object) -> NDArray[np.uint8]:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)
        eight_bit = (grey >> 8 if grey.max(initial=0) > 255 else grey).clip(0, 255).astype(np.uint8)
        return np.asarray(cv2.cvtColor(eight_bit, cv2.COLOR_GRAY2BGR), np.uint8)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return np.asarray(cv2.cvtColor(np.asarray(picture.convert("RGB")), cv2.COLOR_RGB2BGR), np.uint8)
