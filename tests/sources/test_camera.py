from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.sources import CameraSource
from tests.conftest import numbered_image


class FakeCapture:
    """A camera that gives prepared pictures; None is a failed read."""

    def __init__(
        self,
        pictures: Sequence[Any] = (),
        *,
        opened: bool = True,
        properties: dict[int, float] | None = None,
        refuses_settings: bool = False,
    ) -> None:
        self.pictures = list(pictures)
        self.opened = opened
        self.properties = properties or {}
        self.refuses_settings = refuses_settings
        self.asked: list[tuple[int, float]] = []
        self.opened_with: tuple[int | str, float] | None = None
        self.releases = 0

    def open_with(self, device: int | str, timeout_s: float) -> FakeCapture:
        self.opened_with = (device, timeout_s)
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, Any]:
        assert self.releases == 0, "read after release"
        picture = self.pictures.pop(0) if self.pictures else None
        return picture is not None, picture

    def get(self, prop: int) -> float:
        return self.properties.get(prop, 0.0)

    def set(self, prop: int, value: float) -> bool:
        if self.refuses_settings:
            raise RuntimeError("the fake refuses settings")
        self.asked.append((prop, value))
        return True

    def release(self) -> None:
        self.releases += 1


def test_format_is_asked_before_size_and_rate() -> None:
    capture = FakeCapture()
    config = InputConfig(camera_size="1280x720", camera_fps=60, camera_fourcc="YUYV", timeout_s=1.5)
    with CameraSource(2, config, capture.open_with):
        pass
    assert capture.opened_with == (2, 1.5)
    assert capture.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 60),
    ]


def test_nothing_is_asked_where_nothing_is_wanted() -> None:
    capture = FakeCapture()
    config = InputConfig(camera_size=None, camera_fps=None, camera_fourcc=None)
    with CameraSource(0, config, capture.open_with):
        pass
    assert capture.asked == []


def test_frames_come_in_order_on_the_capture_clock() -> None:
    pictures = [numbered_image(number) for number in range(3)]
    capture = FakeCapture(pictures)
    with CameraSource(0, open_with=capture.open_with) as source:
        iterator = iter(source)
        frames = [next(iterator) for _ in range(3)]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert all(np.array_equal(f.image_bgr, p) for f, p in zip(frames, pictures, strict=True))
    assert frames[0].time_s == 0
    assert [f.time_s for f in frames] == pytest.approx(
        [f.captured_at_s - frames[0].captured_at_s for f in frames]
    )


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1)])
def test_grey_cameras_give_bgr(shape: tuple[int, ...]) -> None:
    grey = np.arange(48 * 64, dtype=np.uint8).reshape(shape)
    capture = FakeCapture([grey])
    with CameraSource(0, open_with=capture.open_with) as source:
        image = next(iter(source)).image_bgr
    assert image.shape == (48, 64, 3)
    assert all(np.array_equal(image[..., channel], grey.reshape(48, 64)) for channel in range(3))


def test_info_tells_what_the_camera_settled_on() -> None:
    settled = {cv2.CAP_PROP_FRAME_WIDTH: 320.0, cv2.CAP_PROP_FRAME_HEIGHT: 240.0, cv2.CAP_PROP_FPS: 15.0}
    capture = FakeCapture(properties=settled)
    with CameraSource("/dev/video3", open_with=capture.open_with) as source:
        info = source.info
    assert info.name == "camera /dev/video3"
    assert (info.size_wh, info.fps, info.frame_count, info.live) == ((320, 240), 15.0, None, True)


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e9])
def test_info_guesses_nothing(fps: float) -> None:
    capture = FakeCapture(properties={cv2.CAP_PROP_FPS: fps})
    with CameraSource(0, open_with=capture.open_with) as source:
        assert (source.info.size_wh, source.info.fps) == (None, None)


def test_info_needs_an_open_camera() -> None:
    with pytest.raises(RuntimeError):
        _ = CameraSource(0).info


def test_camera_that_does_not_open_is_released_and_told() -> None:
    capture = FakeCapture(opened=False)
    with (
        pytest.raises(SourceError, match="cannot open camera 5"),
        CameraSource(5, open_with=capture.open_with),
    ):
        pass
    assert capture.releases == 1


def test_released_once_after_use() -> None:
    capture = FakeCapture([numbered_image(0)])
    with CameraSource(0, open_with=capture.open_with) as source:
        next(iter(source))
        assert capture.releases == 0
    assert capture.releases == 1


def test_released_once_after_an_error() -> None:
    capture = FakeCapture([numbered_image(0)])
    with pytest.raises(KeyError), CameraSource(0, open_with=capture.open_with) as source:  # noqa: PT012
        next(iter(source))
        raise KeyError
    assert capture.releases == 1


def test_released_once_where_settings_are_refused() -> None:
    capture = FakeCapture(refuses_settings=True)
    with pytest.raises(RuntimeError), CameraSource(0, open_with=capture.open_with):
        pass
    assert capture.releases == 1


def test_frames_that_stop_are_an_error() -> None:
    capture = FakeCapture([numbered_image(0), numbered_image(1)])
    seen = 0
    with (  # noqa: PT012
        pytest.raises(SourceError, match="camera 0 has stopped sending frames"),
        CameraSource(0, open_with=capture.open_with) as source,
    ):
        for _ in source:
            seen += 1
    assert seen == 2
    assert capture.releases == 1


def test_single_failed_reads_are_passed_over() -> None:
    capture = FakeCapture([numbered_image(0), None, numbered_image(1), None, None, numbered_image(2)])
    with CameraSource(0, open_with=capture.open_with) as source:
        iterator = iter(source)
        assert [next(iterator).index for _ in range(3)] == [0, 1, 2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="device files are Linux's")
@pytest.mark.parametrize(("device", "path"), [(987, "/dev/video987"), ("/dev/video988", "/dev/video988")])
def test_missing_camera_names_its_device_file(device: int | str, path: str) -> None:
    with pytest.raises(SourceError, match=f"{path} does not exist"), CameraSource(device):
        pass
