"""Damage is told with what is missing, no track starts in damaged frames, and sound files are told sound."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from realtime_kp import Tracker
from realtime_kp.sources import open_source
from realtime_kp.sources.frame_numbers import FrameNumbers
from tests.tracking.world import World

COUNT = 90
PACKET = 188  # bytes of a transport stream's packet


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def write(path: Path, codec: str = "libx264", options: dict[str, str] | None = None) -> Path:
    """Three seconds of moving noise, so that every packet weighs something."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (240, 320 + 2 * COUNT, 3), np.uint8)
    texture = np.repeat(np.repeat(texture[::4, ::4], 4, axis=0), 4, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options={"g": "15"} if options is None else options)
        stream.width, stream.height = 320, 240
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(COUNT):
            image = np.ascontiguousarray(texture[:240, 2 * number : 2 * number + 320])
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_to_a_third(data: bytearray) -> bytes:
    return bytes(data[: len(data) // 3])


def with_a_hole(data: bytearray) -> bytes:
    count = len(data) // PACKET
    return bytes(data[: PACKET * int(0.4 * count)] + data[PACKET * int(0.75 * count) :])


def with_lost_packets(data: bytearray) -> bytes:
    rng = random.Random(1)
    packets = (data[i : i + PACKET] for i in range(0, len(data), PACKET))
    return b"".join(packet for packet in packets if rng.random() > 0.03)


def zeroed_in_the_middle(data: bytearray) -> bytes:
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    return bytes(data)


def with_flipped_bits(data: bytearray) -> bytes:
    rng = random.Random(2)
    for _ in range(60):
        data[rng.randrange(4000, len(data) - 8000)] ^= 1 << rng.randrange(8)
    return bytes(data)


@pytest.mark.parametrize(
    ("codec", "suffix", "spoil", "missing"),
    [
        ("mpeg4", ".avi", cut_to_a_third, True),
        ("libx264", ".mkv", cut_to_a_third, True),
        ("libx264", ".ts", with_a_hole, True),
        ("libx264", ".ts", with_lost_packets, False),
        ("libx264", ".mkv", zeroed_in_the_middle, False),
        ("libx264", ".mp4", with_flipped_bits, False),
        ("libx264", ".ts", with_flipped_bits, False),
        ("mpeg4", ".avi", with_flipped_bits, False),
    ],
)
def test_damage_is_told_with_what_the_container_declares(
    tmp_path: Path, codec: str, suffix: str, spoil: Callable[[bytearray], bytes], missing: bool
) -> None:
    path = write(tmp_path / f"a{suffix}", codec)
    path.write_bytes(spoil(bytearray(path.read_bytes())))
    with open_source(path) as source:
        frames, damage = list(source), source.damage
    assert damage is not None
    found = re.search(r"decoded (\d+) of about (\d+) frames", damage)
    assert found is not None
    assert int(found[1]) == len(frames)
    assert abs(int(found[2]) - COUNT) <= 4
    assert (len(frames) < 0.8 * COUNT) == missing
    if not missing:
        assert any(frame.damaged for frame in frames)
        assert f"{sum(frame.damaged for frame in frames)} of them damaged" in damage


def test_a_key_frame_without_one_of_its_slices_is_damaged(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h264", options={"g": "90", "bf": "0", "x264-params": "slices=4:sliced-threads=0"}
    )
    data = path.read_bytes()
    begins = [m.start() for m in re.finditer(b"\0\0\1", data)] + [len(data)]
    units = [data[a:b] for a, b in itertools.pairwise(begins)]
    key_slices = [i for i, unit in enumerate(units) if unit[3] & 31 == 5]
    del units[key_slices[2]]
    path.write_bytes(b"".join(units))
    with open_source(path) as source:
        frames, damage = list(source), source.damage
    assert frames[0].damaged
    assert damage is not None


SOUND: dict[str, tuple[str, str, dict[str, str]]] = {
    "B-frames": (".mp4", "libx264", {"bf": "3", "g": "30"}),
    "open groups": (".mkv", "libx264", {"bf": "3", "g": "15", "x264-params": "open-gop=1"}),
    "intra refresh": (".mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=30"}),
    "HEVC": (".mp4", "libx265", {"x265-params": "log-level=none:keyint=15:open-gop=1"}),
    "transport stream": (".ts", "libx264", {"bf": "2", "g": "15"}),
    "MPEG-2": (".mpg", "mpeg2video", {"bf": "2", "g": "12"}),
    "MPEG-4 with B-frames": (".avi", "mpeg4", {"bf": "2"}),
    "MJPEG": (".avi", "mjpeg", {}),
    "VP9": (".webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "Flash": (".flv", "flv", {}),
    "fragments": (".mp4", "libx264", {"movflags": "+frag_keyframe+empty_moov"}),
}


@pytest.mark.parametrize("kind", SOUND)
def test_sound_files_are_told_sound(tmp_path: Path, kind: str) -> None:
    suffix, codec, options = SOUND[kind]
    with open_source(write(tmp_path / f"a{suffix}", codec, options)) as source:
        frames = list(source)
        assert source.damage is None
    assert len(frames) == COUNT
    assert not any(frame.damaged for frame in frames)


RAW = {
    "plain": {"g": "30"},
    "one key frame": {"g": "600", "sc_threshold": "0"},
    "B pyramid": {"g": "30", "x264-params": "bframes=5:b-pyramid=normal:ref=8"},
    "fields": {"g": "30", "x264-params": "interlaced=1:bframes=2"},
    "slices": {"g": "30", "x264-params": "slices=4"},
    "intra refresh": {"x264-params": "intra-refresh=1:keyint=30"},
    "scaling lists": {"g": "30", "x264-params": "cqm=jvt"},
    "lossless": {"g": "30", "qp": "0"},
    "open groups": {"x264-params": "open-gop=1:keyint=15:bframes=3"},
}


@pytest.mark.parametrize("kind", RAW)
def test_raw_streams_are_sound_alone_and_joined(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a.h264", options=RAW[kind])
    path.write_bytes(2 * path.read_bytes())
    with open_source(path) as source:
        assert len(list(source)) == 2 * COUNT
        assert source.damage is None


@pytest.mark.parametrize("kind", RAW)
def test_pictures_left_out_of_a_raw_stream_are_told(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a.h264", options=RAW[kind])
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    referred = [i for i, packet in enumerate(packets) if 35 < i < 55 and is_referred_to(packet)]
    left_out = referred[:3]
    path.write_bytes(b"".join(packet for i, packet in enumerate(packets) if i not in left_out))
    with open_source(path) as source:
        frames = list(source)
    assert source.damage is not None
    assert (
        f"decoded {len(frames)} of about {len(frames) + 3} frames (at least 3 missing between others"
        in source.damage
    )


def number_flipped(packets: list[bytes], place: int) -> list[bytes]:
    """The highest bit of a number in the header of a slice is another one."""
    unit = bytearray(packets[place])
    start = unit.index(b"\x00\x00\x01") + 3
    # A P slice: first macroblock 0 (1 bit), kind (5 bits: 0b00110, or 1: 0b1), set of parameters 0 (1 bit).
    bits = "".join(f"{byte:08b}" for byte in unit[start + 1 : start + 4])
    place_of_number = 7 if bits[1:6] == "00110" else 3
    unit[start + 1 + place_of_number // 8] ^= 0x80 >> place_of_number % 8
    return [*packets[:place], bytes(unit), *packets[place + 1 :]]


def swapped(packets: list[bytes], place: int) -> list[bytes]:
    return [*packets[:place], packets[place + 1], packets[place], *packets[place + 2 :]]


@pytest.mark.parametrize("spoil", [number_flipped, swapped])
def test_a_number_that_does_not_follow_is_not_believed_at_once(
    tmp_path: Path, spoil: Callable[[list[bytes], int], list[bytes]]
) -> None:
    path = write(tmp_path / "a.h264", options={"g": "250", "bf": "0", "sc_threshold": "0", "threads": "1"})
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    spoilt = spoil(packets, 45)
    assert spoilt != packets
    numbers = FrameNumbers()
    assert sum(numbers.missing_before(packet) for packet in spoilt) == 0


def test_gaps_beside_each_other_are_counted_without_what_came_between(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h264", options={"g": "250", "bf": "0", "sc_threshold": "0"})
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    numbers = FrameNumbers()
    left = [packet for place, packet in enumerate(packets) if place not in (40, 42, 44, 60, 61)]
    assert sum(numbers.missing_before(packet) for packet in left) == 5


def test_a_stream_that_goes_on_elsewhere_does_not_count_a_whole_period(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h264", options={"g": "250", "bf": "0", "sc_threshold": "0"})
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    numbers = FrameNumbers()
    assert sum(numbers.missing_before(packet) for packet in packets[:60] + packets[24:]) == 1


def test_what_is_missing_before_the_start_is_not_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h264", options={"g": "30", "bf": "0", "sc_threshold": "0"})
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    path.write_bytes(b"".join(packet for place, packet in enumerate(packets) if place not in (10, 11)))
    with open_source(path) as source:
        assert len(list(source)) == COUNT - 2
        assert source.damage is not None
    with open_source(path, start_s=2.0) as source:
        assert 0 < len(list(source)) <= COUNT // 3
        assert source.damage is None


def is_referred_to(packet: bytes) -> bool:
    """Whether a picture is a P or B picture that others refer to."""
    units = [packet[match.end()] for match in re.finditer(b"\x00\x00\x01", packet)]
    return any(unit & 31 == 1 and unit & 0x60 for unit in units)


def test_parts_that_were_joined_are_sound(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{i}.ts", options={"bf": "2", "g": "15"}).read_bytes() for i in range(3)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    with open_source(path) as source:
        assert len(list(source)) == 3 * COUNT
        assert source.damage is None


def test_a_transport_stream_that_begins_in_the_middle_is_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", options={"bf": "2", "g": "15"})
    data = path.read_bytes()
    path.write_bytes(data[PACKET * (len(data) // PACKET // 5) :])
    with open_source(path) as source:
        assert 50 < len(list(source)) < COUNT
        assert source.damage is None


@pytest.mark.parametrize("kind", ["hybrid", "flow", "descriptor"])
def test_no_track_starts_in_a_damaged_frame(kind: str, world: World) -> None:
    tracker = Tracker(kind=kind)

    def update(index: int, damaged: bool) -> set[int]:
        frame = replace(world.frame(index), damaged=damaged)
        return set(tracker.update(frame, world.keypoints()).ids.tolist())

    assert update(0, True) == set()
    first = update(1, False)
    assert first
    assert update(2, True) <= first
    assert update(3, False)


def test_a_late_detection_of_a_damaged_frame_starts_no_track(world: World) -> None:
    tracker = Tracker()
    tracker.update(replace(world.frame(0), damaged=True), None)
    tracker.update(world.frame(1), None)
    assert len(tracker.update(world.frame(2), world.keypoints(of_frame=0))) == 0
    assert len(tracker.update(world.frame(3), world.keypoints(of_frame=1)))
