"""Reading of a picture as upright 8-bit BGR."""

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
    if start.startswith(_VIDEO_STARTS) or riff == b"AVI " or start[4:8] == b"ftyp":
        return False
    return suffix in PICTURE_SUFFIXES


def read_picture(path: Path, max_pixels: int = InputConfig().max_pixels) -> NDArray[np.uint8]:
    """Read a picture and apply its EXIF orientation.

    Sixteen-bit grey is scaled to 8 bits; an alpha channel is blended onto black.

    Args:
        path: The file.
        max_pixels: Pictures that declare more are refused before decoding. The limit of Pillow, about 90
            million, applies as well.

    Returns:
        `(H, W, 3) uint8`, BGR.

    Raises:
        SourceError: The file is missing, is no picture, is damaged, or declares too large a size.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Above its limit Pillow only warns, above twice the limit it refuses; both are errors here.
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
        raise SourceError(f"{path} declares too many pixels: {exc}") from exc
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
