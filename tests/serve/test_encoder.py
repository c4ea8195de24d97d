from __future__ import annotations

import time

import av
import cv2
import numpy as np
import pytest

from realtime_kp.serve import LiveView
from realtime_kp.serve.encoder import MARK_PX, PictureEncoder, marked
from realtime_kp.serve.picture import Picture, PictureKind
from tests.conftest import within
from tests.serve.serving import tracked_frame

H264, JPEG = PictureKind("h264", "plain"), PictureKind("jpeg", "plain")


def view(index: int, size_wh: tuple[int, int] = (320, 240)) -> LiveView:
    tracked = tracked_frame(index, size_wh=size_wh)
    return LiveView(tracked, 255 - tracked.frame.image_bgr)


def decode(pictures: list[Picture]) -> list[np.ndarray]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for one in pictures for frame in decoder.decode(av.Packet(one.data))]
    return [frame.to_ndarray(format="bgr24") for frame in [*frames, *decoder.decode(None)]]


def test_without_viewers_nothing_is_encoded() -> None:
    got: list[Picture] = []
    with PictureEncoder(got.append) as encoder:
        for index in range(5):
            encoder.show(view(index))
            time.sleep(0.02)
        assert not got
        assert encoder.encoding_s == 0
        encoder.want([JPEG])
        encoder.show(view(9))
        assert within(5, lambda: bool(got) and got[-1].frame == 9)
    assert got[-1].size_wh == (320, 240)
    image = cv2.imdecode(np.frombuffer(got[-1].data, np.uint8), cv2.IMREAD_COLOR)
    assert abs(image.astype(int) - view(9).tracked.frame.image_bgr).mean() < 4


def test_video_can_be_decoded_from_each_key_frame_on() -> None:
    got: list[Picture] = []
    with PictureEncoder(got.append) as encoder:
        encoder.want([H264])
        for index in range(30):
            if index == 20:
                time.sleep(0.6)  # key frames are made twice a second at most
                encoder.ask_for_key(H264)
            encoder.show(view(index))
            assert within(5, lambda index=index: bool(got) and got[-1].frame == index)  # type: ignore[misc]
    # A key frame that was asked for comes with the frame before or with the next one.
    keys = [picture.frame for picture in got if picture.key]
    assert keys[0] == 0
    assert keys[1] in (19, 20)
    assert len(keys) == 2
    begin = [picture.key for picture in got].index(True, 1)
    images = decode(got[begin:])
    assert len(images) == len(got) - begin
    assert abs(images[-1].astype(int) - view(29).tracked.frame.image_bgr).mean() < 6


def test_a_frame_that_stands_still_is_sent_again_to_whoever_comes() -> None:
    got: list[Picture] = []
    with PictureEncoder(got.append) as encoder:
        encoder.show(view(3))
        for kind in (H264, JPEG, PictureKind("jpeg", "drawn")):
            encoder.want([kind])
            encoder.ask_for_key(kind)
            assert within(5, lambda kind=kind: any(one.kind == kind for one in got))  # type: ignore[misc]
    assert all(picture.key and picture.frame == 3 for picture in got)
    drawn = cv2.imdecode(np.frombuffer(got[-1].data, np.uint8), cv2.IMREAD_COLOR)
    assert abs(drawn.astype(int) - (255 - view(3).tracked.frame.image_bgr)).mean() < 4


def test_a_new_size_begins_a_new_stream() -> None:
    got: list[Picture] = []
    with PictureEncoder(got.append) as encoder:
        encoder.want([H264])
        for index, size_wh in enumerate([(320, 240), (320, 240), (240, 320), (64, 48)]):
            encoder.show(view(index, size_wh))
            assert within(5, lambda index=index: bool(got) and got[-1].frame == index)  # type: ignore[misc]
    assert [picture.key for picture in got] == [True, False, True, True]
    assert decode(got[3:])[0].shape == (48, 64, 3)


def test_large_pictures_are_sent_smaller() -> None:
    got: list[Picture] = []
    with PictureEncoder(got.append) as encoder:
        encoder.want([JPEG])
        encoder.show(view(0, (3840, 2160)))
        assert within(10, lambda: bool(got))
    image = cv2.imdecode(np.frombuffer(got[0].data, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (1080, 1920, 3)
    assert got[0].size_wh == (3840, 2160)


@pytest.mark.parametrize("number", [0, 1, 0xA5C3, 0xFFFF, 0x12345])
def test_a_mark_is_read_back_after_encoding(number: int) -> None:
    image = marked(np.full((48, 320, 3), 90, np.uint8), number)
    _, coded = cv2.imencode(".jpg", image)
    seen = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)[MARK_PX // 2, MARK_PX // 2 : 16 * MARK_PX : MARK_PX]
    assert sum(1 << bit for bit, value in enumerate(seen) if value > 127) == number & 0xFFFF


def test_the_message_is_a_header_and_the_data() -> None:
    message = Picture(PictureKind("jpeg", "plain"), 2**40, 12.5, (640, 480), True, b"\xff\xd8").message()
    assert len(message) == 34
    assert message[:3] == b"\x01\x01\x01"
    assert int.from_bytes(message[4:8], "little") == 2
    assert int.from_bytes(message[8:16], "little") == 2**40
    assert np.frombuffer(message, "<f8", 1, 16)[0] == 12.5
    assert np.frombuffer(message, "<u4", 2, 24).tolist() == [640, 480]
