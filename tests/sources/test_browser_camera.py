from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from realtime_kp.config import InputConfig
from realtime_kp.errors import ConfigError
from realtime_kp.frame import Frame
from realtime_kp.sources import BrowserCamera, BrowserSource, SourceKind, open_source, source_kind
from tests.conftest import numbered_image, within


def jpeg(number: int, size_wh: tuple[int, int] = (64, 48)) -> bytes:
    _, coded = cv2.imencode(".jpg", numbered_image(number, size_wh), (cv2.IMWRITE_JPEG_QUALITY, 100))
    return coded.tobytes()


class Reading:
    """A source that is read on a thread, as the pipeline does."""

    def __init__(self, camera: BrowserCamera, timeout_s: float = 5.0) -> None:
        self.source = BrowserSource(camera, InputConfig(timeout_s=timeout_s, max_pixels=10_000))
        self.frames: list[Frame] = []
        self._thread = threading.Thread(target=self._run, name="realtime-kp test reading")
        self._thread.start()

    def _run(self) -> None:
        with self.source as source:
            self.frames.extend(source)

    def wait_for(self, count: int) -> None:
        assert within(5, lambda: len(self.frames) >= count)

    def end(self) -> None:
        self.source.interrupt()
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def camera() -> BrowserCamera:
    return BrowserCamera()


@pytest.fixture
def reading(camera: BrowserCamera) -> Iterator[Reading]:
    found = Reading(camera)
    yield found
    found.end()


def test_pictures_become_frames_with_their_times(camera: BrowserCamera, reading: Reading) -> None:
    taken_s = []
    for number in range(5):
        taken_s.append(time.perf_counter() - 0.05)
        assert camera.push(jpeg(number), taken_s[-1])
        reading.wait_for(number + 1)
    assert [frame.index for frame in reading.frames] == list(range(5))
    assert [frame.captured_at_s for frame in reading.frames] == taken_s
    np.testing.assert_allclose([f.time_s for f in reading.frames], np.array(taken_s) - taken_s[0])
    for number, frame in enumerate(reading.frames):
        assert abs(frame.image_bgr.astype(int) - numbered_image(number)).max() <= 2
    assert reading.source.info.live
    assert reading.source.lost_at_s is None


def test_the_newest_picture_replaces_one_that_waits(camera: BrowserCamera) -> None:
    for number in range(5):
        camera.push(jpeg(number), time.perf_counter())
    found = camera.take(1)
    assert found is not None
    assert found.jpeg == jpeg(4)
    assert camera.take(0) is None


@pytest.mark.parametrize("claimed_s", [0.0, float("nan"), float("inf"), float("-inf"), 1e300, -5.0])
def test_a_time_that_cannot_be_is_replaced_by_now(camera: BrowserCamera, claimed_s: float) -> None:
    before_s = time.perf_counter()
    camera.push(jpeg(0), claimed_s)
    found = camera.take(1)
    assert found is not None
    assert before_s <= found.captured_at_s <= time.perf_counter()


def test_time_does_not_run_backwards(camera: BrowserCamera, reading: Reading) -> None:
    now_s = time.perf_counter()
    for count, ago_s in enumerate((0.1, 0.3, 0.2), 1):
        camera.push(jpeg(count), now_s - ago_s)
        reading.wait_for(count)
    times_s = [frame.time_s for frame in reading.frames]
    assert times_s == sorted(set(times_s))


def test_what_is_no_picture_is_left_out(camera: BrowserCamera, reading: Reading) -> None:
    bomb = bytearray(jpeg(0))
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = b"\xff\xff\xff\xff"  # 65535 x 65535
    assert not camera.push(b"GIF89a", time.perf_counter())
    assert camera.refused == 1
    for data in (
        b"\xff\xd8\xff",
        jpeg(1)[:60],
        bytes(bomb),
        jpeg(0, (200, 100)),
        b"\xff\xd8\xff" + bytes(500),
    ):
        assert camera.push(data, time.perf_counter())
        time.sleep(0.05)
    camera.push(jpeg(2), time.perf_counter())
    reading.wait_for(1)
    (frame,) = reading.frames
    assert frame.image_bgr.shape == (48, 64, 3)
    assert reading.source.damage is not None
    assert "pictures of the browser could not be read" in reading.source.damage


def test_a_camera_that_stops_is_lost_and_comes_back_as_a_new_session(camera: BrowserCamera) -> None:
    reading = Reading(camera, timeout_s=0.1)
    try:
        time.sleep(0.3)
        assert reading.source.lost_at_s is None  # nobody has come yet
        camera.push(jpeg(0), time.perf_counter())
        reading.wait_for(1)
        assert within(5, lambda: reading.source.lost_at_s is not None)
        camera.push(jpeg(1), time.perf_counter())
        reading.wait_for(2)
        assert reading.source.lost_at_s is None
        assert [frame.session for frame in reading.frames] == [0, 1]
    finally:
        reading.end()


def test_what_the_name_means(tmp_path: object) -> None:
    assert source_kind("browser") is SourceKind.BROWSER
    assert source_kind("./browser") is SourceKind.VIDEO
    with pytest.raises(ConfigError, match="live browser --serve PORT"):
        open_source("browser")
