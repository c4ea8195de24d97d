"""All eight orientations of a display matrix, and others."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.sources import open_source
from tests.conftest import write_clip

Image = NDArray[np.uint8]
# a, b, c, d of the matrix: a stored point (x, y) is shown at (a x + c y, b x + d y).
SHOWN = {
    (1, 0, 0, 1): lambda image: image,
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (-1, 0, 0, -1): lambda image: image[::-1, ::-1],
    (0, 1, 1, 0): lambda image: image.swapaxes(0, 1),
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (0, -1, 1, 0): np.rot90,
    (0, -1, -1, 0): lambda image: np.rot90(image.swapaxes(0, 1), 2),
}


def four_corners() -> Image:
    """Another grey level in each quarter."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = 40, 100, 160, 220
    return image


def with_matrix(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """Write the matrix into the track header of an MP4 (ISO/IEC 14496-12)."""
    data = bytearray(path.read_bytes())
    begin = data.index(b"tkhd") + 4
    place = begin + (40 if data[begin] == 0 else 52)
    a, b, c, d = (round(value * 65536) for value in matrix)
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def quarters(image: Image) -> list[int]:
    """Grey levels in the middle of the four quarters, row by row."""
    height, width = image.shape[:2]
    return [int(image[y * height // 4, x * width // 4, 0]) for y in (1, 3) for x in (1, 3)]


@pytest.mark.parametrize("matrix", SHOWN)
def test_every_orientation_comes_upright(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = with_matrix(write_clip(tmp_path / "a.mp4", [four_corners()] * 3), matrix)
    with open_source(path) as source:
        frames, size_wh = list(source), source.info.size_wh
    assert len(frames) == 3
    expected = SHOWN[matrix](four_corners())
    assert frames[0].image_bgr.shape == expected.shape
    assert size_wh == frames[0].size_wh
    assert quarters(frames[0].image_bgr) == pytest.approx(quarters(expected), abs=8)


def test_other_angles_are_left_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    half = 2**-0.5
    path = with_matrix(write_clip(tmp_path / "a.mp4", [four_corners()] * 3), (half, half, -half, half))
    with open_source(path) as source:
        frames = list(source)
    assert quarters(frames[0].image_bgr) == pytest.approx(quarters(four_corners()), abs=8)
    assert [r.message for r in caplog.records if "45 degrees" in r.message] == [
        f"{path} is to be turned by 45 degrees: left as it is"
    ]
