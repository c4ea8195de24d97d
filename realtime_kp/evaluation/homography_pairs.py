"""Image pairs with a known homography from the first to the second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SourceError
from realtime_kp.evaluation.pictures import read_image, spread_evenly
from realtime_kp.evaluation.plane_mask import off_plane
from realtime_kp.sources import PICTURE_SUFFIXES

Kind = Literal["illumination", "viewpoint", "real"]
Image = NDArray[np.uint8]

SIZE_WH = (480, 320)
# Larger errors count as false matches.
RIGHT_PX = 3.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of a plane.

    Attributes:
        kind: `illumination` (the light changed), `viewpoint` (the camera moved) or `real` (two photographs).
        first: `(H, W, 3) uint8`, BGR.
        second: The same.
        homography: `(3, 3)`, pixels of the first to pixels of the second.
        off_plane: `(H, W) bool`, pixels of the first where dense flow deviates by over 3 px from the
            homography; None for generated pairs.
    """

    kind: Kind
    first: Image
    second: Image
    homography: NDArray[np.float64]
    off_plane: NDArray[np.bool_] | None = None


def real_pairs(folder: Path) -> Iterator[Pair]:
    """The real pairs in a folder.

    Args:
        folder: Searched recursively for folders with homographies: `H_1_2` beside `1.ppm` and `2.ppm`
            (HPatches), or `H1to3p.xml` beside `graf1.png` and `graf3.png` (OpenCV's samples).

    Raises:
        SourceError: A homography or one of its images cannot be read.
    """
    for sequence in _real_folders(folder):
        yield from _pairs_of(sequence)


def warped_pairs(folder: Path, max_pairs: int, seed: int) -> Iterator[Pair]:
    """One generated pair per image of a folder without homographies, alternating illumination and viewpoint.

    Args:
        folder: Searched recursively.
        max_pairs: Largest number of pairs, spread evenly over the images.
        seed: Seed of warps and light.
    """
    pictures = pictures_to_warp(folder)
    for number, picture in enumerate(spread_evenly(pictures, max_pairs)):
        image = read_image(picture)
        if image is not None:
            yield warped_pair(image, np.random.default_rng((seed, number)), turn=number % 2 == 1)


def pictures_to_warp(folder: Path) -> list[Path]:
    """Images of a folder, searched recursively, that do not lie beside homographies."""
    real = _real_folders(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES and path.parent not in real]


def warped_pair(image: Image, rng: np.random.Generator, *, turn: bool) -> Pair:
    """Generate a pair: an image and a copy with other light, or from another viewpoint.

    Args:
        image: Any size; it is scaled and cropped to 480 × 320.
        rng: Source of all randomness.
        turn: Change the viewpoint: rotation up to ±35°, scale 0.65 to 1.5, corners moved by up to 15 %.
    """
    first = _fill(image, SIZE_WH if image.shape[1] >= image.shape[0] else SIZE_WH[::-1])
    height, width = first.shape[:2]
    homography = _viewpoint(width, height, rng) if turn else np.eye(3)
    second = cv2.warpPerspective(first, homography, (width, height), flags=cv2.INTER_LINEAR)
    return Pair("viewpoint" if turn else "illumination", first, relight(second, rng), homography)


def _fill(image: Image, size_wh: tuple[int, int]) -> Image:
    scale = max(size_wh[0] / image.shape[1], size_wh[1] / image.shape[0])
    size = [
        max(wanted, round(side * scale)) for wanted, side in zip(size_wh, image.shape[1::-1], strict=True)
    ]
    image = np.asarray(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8
    )
    left, top = (image.shape[1] - size_wh[0]) // 2, (image.shape[0] - size_wh[1]) // 2
    return np.ascontiguousarray(image[top : top + size_wh[1], left : left + size_wh[0]])


def _viewpoint(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float64]:
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    middle = corners.mean(axis=0)
    angle, scale = np.deg2rad(rng.uniform(-35, 35)), np.exp(rng.uniform(np.log(0.65), np.log(1.5)))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - middle + rng.uniform(-0.15, 0.15, (4, 2)) * [width, height]) @ turn.T + middle
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32)))


def relight(image: Image, rng: np.random.Generator) -> Image:
    """The image in other light: random gamma, gain, offset, shading, blur and noise."""
    light = (image / 255.0) ** np.exp(rng.normal(0, 0.35))
    shade = cv2.resize(rng.normal(0, 0.2, (3, 3)), image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    light = light * np.exp(rng.normal(0, 0.2) + shade[..., None]) + rng.normal(0, 0.04)
    light = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.3, 1.0)))
    light = light + rng.normal(0, rng.uniform(0.005, 0.025), light.shape)
    return np.asarray(np.clip(light * 255, 0, 255).round(), np.uint8)


def _real_folders(folder: Path) -> list[Path]:
    return sorted({path.parent for path in folder.rglob("*") if path.is_file() and _homography_name(path)})


def _homography_name(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"H_(\d+)_(\d+)|H(\d+)to(\d+)p?\.xml", path.name)


def _pairs_of(folder: Path) -> Iterator[Pair]:
    for path in sorted(folder.iterdir()):
        name = _homography_name(path)
        if name is None:
            continue
        numbers = [number for number in name.groups() if number is not None]
        first, second = (_numbered_picture(folder, number) for number in numbers)
        homography = _read_homography(path)
        yield Pair("real", first, second, homography, off_plane(first, second, homography, RIGHT_PX))


def _numbered_picture(folder: Path, number: str) -> Image:
    names: Sequence[Path] = sorted(folder.iterdir())
    for path in names:
        if path.suffix.lower() in PICTURE_SUFFIXES and re.fullmatch(rf"\D*{number}", path.stem):
            image = read_image(path)
            if image is not None:
                return image
    raise SourceError(f"{folder} holds a homography, but no picture number {number} that can be read")


def _read_homography(path: Path) -> NDArray[np.float64]:
    try:
        if path.suffix == ".xml":
            text = path.read_text(encoding="utf-8")
            storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
            matrix = storage.root().getNode(storage.root().keys()[0]).mat()
        else:
            matrix = np.loadtxt(path)
    except (OSError, ValueError, IndexError, cv2.error) as exc:
        raise SourceError(f"{path} is not a homography: {exc}") from exc
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (3, 3):
        raise SourceError(f"{path} is not a homography: its shape is {matrix.shape}")
    return matrix
