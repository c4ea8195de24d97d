"""Training images from folders and zip files, as square grey tiles."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SourceError
from realtime_kp.sources import PICTURE_SUFFIXES

TILE_PX = 352

Tiles = NDArray[np.uint8]


def load_tiles(paths: Sequence[Path], max_tiles: int | None = None) -> Tiles:
    """Read all images of folders and zip files and cut them into tiles.

    An image is scaled so that its shorter side equals the side of a tile; a longer one gives several tiles,
    evenly spaced.

    Args:
        paths: Folders (searched recursively), zip files and single images.
        max_tiles: Keep this many, evenly spaced; None keeps all.

    Returns:
        `(N, 352, 352) uint8`, grey, in the order of the names.

    Raises:
        SourceError: A path does not exist, or contains no image.
    """
    tiles = [tile for path in paths for data in _encoded_images(path) for tile in _cut(data)]
    if not tiles:
        raise SourceError(f"no images in {', '.join(map(str, paths))}")
    if max_tiles is not None and len(tiles) > max_tiles:
        kept = np.linspace(0, len(tiles) - 1, max_tiles).round().astype(int)
        tiles = [tiles[i] for i in kept]
    return np.stack(tiles)


def _encoded_images(path: Path) -> Iterator[bytes]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file():
                yield _read(file)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if Path(name).suffix.lower() in PICTURE_SUFFIXES:
                    yield archive.read(name)
    elif path.is_file():
        yield _read(path)
    else:
        raise SourceError(f"{path} is not there: --images takes folders, zip files and images")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise SourceError(f"cannot read {file}: {exc.strerror}") from exc


def _cut(data: bytes) -> Iterator[Tiles]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if image is None:
        return
    scale = TILE_PX / min(image.shape)
    if scale != 1:
        size_wh = [max(TILE_PX, round(side * scale)) for side in image.shape[::-1]]
        image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    height, width = image.shape
    for top in _starts(height):
        for left in _starts(width):
            yield np.asarray(image[top : top + TILE_PX, left : left + TILE_PX], np.uint8)


def _starts(side: int) -> list[int]:
    count = 1 + (side - TILE_PX + TILE_PX // 2 - 1) // (TILE_PX // 2) if side > TILE_PX else 1
    return [round(start) for start in np.linspace(0, side - TILE_PX, count).tolist()]
