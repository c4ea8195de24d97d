"""Layouts and depths that drivers of cameras deliver."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources import CameraSource

WIDTH, HEIGHT = 64, 48


class Driver:
    """A capture that delivers what it is given, then stops."""

    def __init__(self, images: list[Any], fourcc: str = "") -> None:
        self._images = list(images)
        self._fourcc = cv2.VideoWriter.fourcc(*fourcc) if fourcc else 0

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def read(self) -> tuple[bool, Any]:
        return (True, self._images.pop(0)) if self._images else (False, None)

    def get(self, prop: int) -> float:
        known = {
            cv2.CAP_PROP_FRAME_WIDTH: WIDTH,
            cv2.CAP_PROP_FRAME_HEIGHT: HEIGHT,
            cv2.CAP_PROP_FPS: 30,
            cv2.CAP_PROP_FOURCC: self._fourcc,
        }
        return float(known.get(prop, 0))

    def set(self, prop: int, value: float) -> bool:
        return True

    def release(self) -> None:
        return


def captured(images: list[Any], fourcc: str = "", config: InputConfig | None = None) -> list[Frame]:
    driver, frames = Driver(images, fourcc), []
    with CameraSource(0, config, lambda device, timeout_s: driver) as source:
        stream = iter(source)
        frames = [next(stream) for _ in images]
    return frames


def thermal(low: float = 29_000, high: float = 31_000) -> NDArray[np.uint16]:
    return np.linspace(low, high, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)


def test_sixteen_bits_fill_the_range_in_order() -> None:
    (frame,) = captured([thermal()])
    values = frame.image_bgr[..., 0].ravel().astype(int)
    assert frame.size_wh == (WIDTH, HEIGHT)
    assert (values[0], values[-1]) == (0, 255)
    assert (np.diff(values) >= 0).all()
    assert len(np.unique(values)) > 200


def test_the_range_follows_slowly_where_it_is_not_filled_and_can_be_given() -> None:
    frames = captured([thermal(), thermal(29_500, 30_500), thermal(20_000, 40_000)])
    spread = [int(np.ptp(frame.image_bgr)) for frame in frames]
    assert spread[0] == 255
    assert 110 < spread[1] < 150
    given = captured([thermal()], config=InputConfig(range="28000,32000"))[0].image_bgr
    assert (int(given.min()), int(given.max())) == (64, 191)


@pytest.mark.parametrize("fourcc", ["", "Y16 "])
def test_a_flat_buffer_of_sixteen_bits_is_laid_out(fourcc: str) -> None:
    flat = thermal().view(np.uint8).reshape(1, -1)
    (frame,) = captured([flat], fourcc)
    np.testing.assert_array_equal(frame.image_bgr, captured([thermal()])[0].image_bgr)


@pytest.mark.parametrize("flat", [False, True])
def test_packed_chroma_becomes_colours(flat: bool) -> None:
    yuyv = np.zeros((HEIGHT, WIDTH, 2), np.uint8)
    yuyv[..., 0], yuyv[:, 0::2, 1], yuyv[:, 1::2, 1] = 81, 90, 240  # pure red, ITU-R BT.601
    (frame,) = captured([yuyv.reshape(1, -1) if flat else yuyv], "YUYV")
    assert np.abs(frame.image_bgr.reshape(-1, 3).mean(axis=0) - (0, 0, 254)).max() < 4


def test_transparency_and_floats() -> None:
    image = np.full((HEIGHT, WIDTH, 4), 7, np.uint8)
    image[..., :3] = (10, 20, 30)
    ramp = np.linspace(0, 1, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)
    ramp[0, 0] = np.nan
    with_alpha, floats = captured([image, ramp])
    assert (with_alpha.image_bgr == (10, 20, 30)).all()
    assert int(floats.image_bgr.max()) == 255
    assert floats.image_bgr[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("image", [None, np.zeros((0, 0, 3), np.uint8), "picture", np.zeros((4, 4, 7))])
def test_what_is_no_image_is_told(image: object) -> None:
    with pytest.raises(SourceError, match="camera 0 delivers"):
        captured([image])
