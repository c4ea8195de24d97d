from __future__ import annotations

import av
import numpy as np
import pytest

from realtime_kp.sinks.h264_packets import H264Packets, even_picture
from tests.conftest import numbered_image


def decoded(packets: list[bytes]) -> list[np.ndarray]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]  # type: ignore[attr-defined]
    return [frame.to_ndarray(format="bgr24") for frame in [*frames, *decoder.decode(None)]]  # type: ignore[attr-defined]


def test_each_packet_is_one_picture() -> None:
    encoder = H264Packets(crf=10)
    packets = [encoder.packet(numbered_image(number)) for number in range(35)]
    assert all(packet.startswith((b"\0\0\0\1", b"\0\0\1")) for packet in packets)
    # Type of the first unit: parameters before a key frame (7), else a part of a picture (1).
    kinds = [packet[packet.index(b"\1") + 1] & 31 for packet in packets]
    assert [number for number, kind in enumerate(kinds) if kind == 7] == [0, 30]
    assert set(kinds) == {1, 7}
    pictures = decoded(packets)
    assert len(pictures) == 35
    for number, picture in enumerate(pictures):
        assert abs(picture.astype(int) - numbered_image(number)).mean() < 4
    # A viewer may begin at a key frame.
    assert len(decoded(packets[30:])) == 5


def test_other_sizes_are_brought_to_the_first() -> None:
    encoder = H264Packets()
    packets = [encoder.packet(numbered_image(9, size)) for size in ((63, 47), (31, 23), (126, 94))]
    assert [picture.shape for picture in decoded(packets)] == [(48, 64, 3)] * 3


@pytest.mark.parametrize(
    ("size_wh", "shape"), [((6, 4), (4, 6, 3)), ((5, 3), (4, 6, 3)), ((12, 7), (8, 12, 3))]
)
def test_odd_sides_repeat_their_last_pixels(size_wh: tuple[int, int], shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 5, 3), np.uint8)
    picture = even_picture(image, size_wh)
    assert picture.shape == shape
    if size_wh == (5, 3):
        np.testing.assert_array_equal(picture[:3, :5], image)
        np.testing.assert_array_equal(picture[3, :5], image[2])
        np.testing.assert_array_equal(picture[:3, 5], image[:, 4])
