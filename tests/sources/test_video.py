from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources import SourceInfo, VideoSource, display_name
from tests.conftest import numbered_image, write_clip


def read(location: str | Path, start_s: float = 0.0) -> tuple[list[Frame], SourceInfo, str | None]:
    with VideoSource(location, start_s=start_s) as source:
        frames = list(source)
        return frames, source.info, source.damage


def number_of(image: NDArray[np.uint8]) -> int:
    """Which `numbered_image` this is, in clips of at most 24 frames (decoded with 601 limited range)."""
    return round((float(image.mean()) - 18) / 9)


def copy_packets(
    source: Path,
    target: Path,
    *,
    change: Callable[[int, av.Packet], None] | None = None,
    rotation: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(source)) as read_from, av.open(str(target), "w", options=options or {}) as write_to:
        stream = read_from.streams.video[0]
        copied = write_to.add_stream_from_template(stream)
        if rotation is not None:
            copied.set_display_rotation(rotation)
        packets = [packet for packet in read_from.demux(stream) if packet.dts is not None]
        for number, packet in enumerate(packets):
            if change is not None:
                change(number, packet)
            packet.stream = copied
            write_to.mux(packet)
    return target


def lose_presentation_time(number: int, packet: av.Packet) -> None:
    packet.pts = packet.dts


def noise_images(count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(count)]


def cut(path: Path, share: float, name: str) -> Path:
    content = path.read_bytes()
    target = path.with_name(name)
    target.write_bytes(content[: int(len(content) * share)])
    return target


def test_every_frame_comes_in_order_with_its_time(clip: Path) -> None:
    frames, info, damage = read(clip)
    assert [frame.index for frame in frames] == list(range(12))
    assert [number_of(frame.image_bgr) for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 25 for i in range(12)], abs=1e-3)
    assert (info.size_wh, info.fps, info.frame_count, info.live, info.still) == (
        (64, 48),
        25,
        12,
        False,
        False,
    )
    assert damage is None


def test_captured_at_grows(clip: Path) -> None:
    captured = [frame.captured_at_s for frame in read(clip)[0]]
    assert captured == sorted(captured)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    steps_s = np.random.default_rng(0).uniform(0.01, 0.09, 20)
    times_s = [0.0, *np.cumsum(steps_s).tolist()]
    path = write_clip(tmp_path / f"clip{suffix}", [numbered_image(i) for i in range(21)], times_s=times_s)
    frames, _, _ = read(path)
    assert [frame.time_s for frame in frames] == pytest.approx(times_s, abs=1e-3)


def test_exchanged_presentation_times_are_sorted(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", [numbered_image(i) for i in range(24)])
    lost = copy_packets(whole, tmp_path / "lost.mkv", change=lose_presentation_time)
    with av.open(str(lost)) as container:
        carried = [picture.time for picture in container.decode(video=0)]
    assert carried != sorted(carried)
    frames, _, damage = read(lost)
    assert [number_of(frame.image_bgr) for frame in frames] == list(range(24))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 25 for i in range(24)], abs=1e-3)
    assert damage is None


def test_missing_timestamps_are_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_clip(tmp_path / "clip.h264", [numbered_image(i) for i in range(12)])
    frames, _, _ = read(path)
    times_s = [frame.time_s for frame in frames]
    assert [number_of(frame.image_bgr) for frame in frames] == list(range(12))
    assert all(later > earlier for earlier, later in itertools.pairwise(times_s))
    assert caplog.text.count("timestamps missing") == 1


@pytest.mark.parametrize("start_s", [0.2, 0.21, 0.4])
def test_start_gives_the_first_frame_at_or_after_it(tmp_path: Path, start_s: float) -> None:
    path = write_clip(tmp_path / "clip.mp4", [numbered_image(i) for i in range(24)], options={"g": "6"})
    frames, _, _ = read(path, start_s)
    first = int(np.ceil(start_s * 25))
    assert [number_of(frame.image_bgr) for frame in frames] == list(range(first, 24))
    assert frames[0].index == 0
    assert frames[0].time_s == pytest.approx(first / 25, abs=1e-3)


def test_start_after_the_end_is_an_error(clip: Path) -> None:
    with pytest.raises(SourceError, match=r"clip\.mp4 holds no frames after second 60"):
        read(clip, 60)


@pytest.mark.parametrize("start_s", [0.0, 0.2])
def test_reading_twice_gives_the_same(clip: Path, start_s: float) -> None:
    with VideoSource(clip, start_s=start_s) as source:
        first, again = list(source), list(source)
    assert [frame.index for frame in first] == [frame.index for frame in again]
    assert [frame.time_s for frame in first] == [frame.time_s for frame in again]
    assert all(np.array_equal(a.image_bgr, b.image_bgr) for a, b in zip(first, again, strict=True))


def test_info_needs_an_open_source(clip: Path) -> None:
    with pytest.raises(RuntimeError):
        _ = VideoSource(clip).info


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*gone\.mp4"):
        read(tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    "content", [b"", b"just some words\n" * 40, bytes(4096)], ids=["empty", "text", "zeros"]
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot open .*clip\.mp4: .*is it a video file\?"):
        read(path)


def test_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a regular file"):
        read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceError, match="is not a regular file"):
        read(tmp_path / "pipe.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts = 44_100, 0
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="holds no video"):
        read(path)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile clip.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n",
    ],
    ids=["concat", "playlist"],
)
def test_lists_that_open_other_files_are_refused(clip: Path, text: str) -> None:
    path = clip.with_name("list.mp4")
    path.write_text(text)
    with pytest.raises(SourceError, match=r"cannot open .*list\.mp4"):
        read(path)


def test_numbered_pattern_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "im_00.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match="there is no file"):
        read(tmp_path / "im_%02d.mp4")


def test_colon_in_a_relative_name_is_no_protocol(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip.rename(clip.with_name("T12:30.mp4"))
    monkeypatch.chdir(clip.parent)
    assert len(read(Path("T12:30.mp4"))[0]) == 12


def test_giant_frames_are_refused(clip: Path) -> None:
    with pytest.raises(SourceError), VideoSource(clip, max_pixels=1000) as source:
        list(source)


def write_slow(path: Path, count: int, shown_s: float, sound_s: float = 0.0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(1 / shown_s).limit_denominator(100))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        voice = container.add_stream("aac", rate=16000) if sound_s else None
        for i in range(count):
            picture = av.VideoFrame.from_ndarray(numbered_image(i, (64, 48)), "bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if voice is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, int(16000 * sound_s)), np.int16), "s16", "mono")
            silence.sample_rate = 16000
            container.mux(voice.encode(silence))
            container.mux(voice.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(("count", "shown_s"), [(5, 2.0), (2, 5.0), (1, 4.0)])
def test_a_last_picture_that_is_shown_for_long_is_no_damage(
    tmp_path: Path, suffix: str, count: int, shown_s: float
) -> None:
    frames, _, damage = read(write_slow(tmp_path / f"slow{suffix}", count, shown_s))
    assert len(frames) == count
    assert damage is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
def test_sound_that_goes_on_after_the_pictures_is_no_damage(tmp_path: Path, suffix: str) -> None:
    frames, _, damage = read(write_slow(tmp_path / f"sound{suffix}", 50, 0.04, sound_s=5))
    assert len(frames) == 50
    assert damage is None


def test_start_counts_from_where_the_clock_of_a_file_begins(tmp_path: Path) -> None:
    late = copy_packets(
        write_clip(tmp_path / "clip.mp4", [numbered_image(i) for i in range(24)]),
        tmp_path / "late.ts",
        options={"output_ts_offset": "10000"},
    )
    every, info, _ = read(late)
    assert info.begin_s == pytest.approx(10000, abs=2)
    assert every[0].time_s == 0
    frames, _, damage = read(late, start_s=0.5)
    assert damage is None
    assert frames[0].time_s == pytest.approx(0.5, abs=0.05)
    assert len(frames) < len(every)


@pytest.mark.parametrize("name", ["whole.mkv", "whole.mp4"])
def test_truncated_file_tells_how_much_was_decoded(tmp_path: Path, name: str) -> None:
    encoded = write_clip(tmp_path / "encoded.mp4", noise_images(100))
    options = {"movflags": "+faststart"} if name.endswith(".mp4") else {}
    whole = copy_packets(encoded, tmp_path / name, options=options)
    assert read(whole)[2] is None

    frames, info, damage = read(cut(whole, 0.5, f"cut_{name}"))
    assert 30 < len(frames) < 70
    assert damage is not None
    assert info.name in damage
    found = [int(word) for word in damage.replace(info.name, "").split() if word.isdecimal()]
    assert found[0] == len(frames)
    assert found[1] == pytest.approx(100, abs=5)


def test_truncated_file_is_told_from_a_later_start_too(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", noise_images(100))
    frames, _, damage = read(cut(whole, 0.5, "cut.mkv"), start_s=0.4)
    assert frames[0].time_s == pytest.approx(0.4, abs=1e-3)
    assert damage is not None
    found = [int(word) for word in damage.split() if word.isdecimal()]
    assert found[0] == len(frames)
    assert found[1] == pytest.approx(90, abs=5)


def test_undecodable_packets_are_counted(tmp_path: Path) -> None:
    encoded = write_clip(tmp_path / "encoded.mkv", noise_images(12), codec="mjpeg")
    content = bytearray(encoded.read_bytes())
    starts = [i for i in range(len(content) - 3) if content[i : i + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 12
    for start, end in itertools.pairwise(starts[4:7]):
        half = (end - start) // 2  # the second one holds the header of the next block
        content[start : start + half] = bytes(half)
    spoilt = tmp_path / "spoilt.mkv"
    spoilt.write_bytes(content)
    frames, _, damage = read(spoilt)
    assert len(frames) == 10
    assert damage is not None
    assert "decoded 10 of" in damage
    assert "2 packets could not be decoded" in damage


@pytest.mark.parametrize(
    ("rotation", "white_side"),
    [(-90, "top"), (90, "bottom"), (180, "right")],
)
def test_rotated_video_comes_upright(tmp_path: Path, rotation: int, white_side: str) -> None:
    white_left = np.zeros((48, 64, 3), np.uint8)
    white_left[:, :32] = 255
    plain = write_clip(tmp_path / "plain.mp4", [white_left] * 3)
    frames, info, _ = read(copy_packets(plain, tmp_path / "turned.mp4", rotation=rotation))
    image = frames[0].image_bgr
    sides = {"top": image[:8], "bottom": image[-8:], "left": image[:, :8], "right": image[:, -8:]}
    assert sides[white_side].mean() > 240
    assert {"top": sides["bottom"], "bottom": sides["top"], "right": sides["left"]}[white_side].mean() < 10
    assert info.size_wh == frames[0].size_wh


@pytest.mark.parametrize("height", [96, 720])
def test_untagged_colours_follow_the_custom_of_players(tmp_path: Path, height: int) -> None:
    # ITU-R BT.601 weighs red 0.299, BT.709 0.2126; a luma of 81 is pure red in the first only.
    path = tmp_path / "red.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        luma, blue, red = (81, 90, 240) if height < 720 else (63, 102, 240)
        planes = np.concatenate(
            [np.full(64 * height, luma), np.full(16 * height, blue), np.full(16 * height, red)]
        )
        picture = av.VideoFrame.from_ndarray(planes.astype(np.uint8).reshape(-1, 64), format="yuv420p")
        picture.pts = 0
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    frames, _, _ = read(path)
    assert np.abs(frames[0].image_bgr.reshape(-1, 3).mean(axis=0) - (0, 0, 255)).max() < 4


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.7:554/live/1?token=s3cret#s3cret", "rtsp://10.0.0.7:554/live/1"),
        ("http://s3cret@[::1]:8080/a.mjpg", "http://[::1]:8080/a.mjpg"),
        ("https://example.org/a.mp4", "https://example.org/a.mp4"),
        (Path("folder/a@b.mp4"), str(Path("folder/a@b.mp4"))),
    ],
)
def test_display_name_holds_no_credentials(location: str | Path, shown: str) -> None:
    assert display_name(location) == shown


@pytest.mark.parametrize(
    "location",
    [
        "rtsp://admin:s3cret/word@10.0.0.7/live",
        "rtsp://admin:12#s3cret@10.0.0.7/",
        "rtsp://admin:s3cret?@10.0.0.7/",
    ],
)
def test_display_name_of_an_unescaped_password_holds_none_of_it(location: str) -> None:
    shown = display_name(location)
    assert not any(part in shown for part in ("s3cret", "word", "12", "admin"))


@pytest.mark.parametrize("location", ["rtsp://127.0.0.1:99999/x", "rtsp://127.0.0.1:port/x", "http://[bad/x"])
def test_impossible_address_is_an_error_of_the_source(location: str) -> None:
    with pytest.raises(SourceError):
        read(location)


def test_refused_connection_names_the_host_without_credentials(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SourceError) as caught:
        read(f"http://user:s3cret@127.0.0.1:{port}/live?token=s3cret")
    assert f"http://127.0.0.1:{port}/live" in str(caught.value)
    assert "s3cret" not in str(caught.value) + caplog.text


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def http_folder(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(tmp_path)))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield f"127.0.0.1:{server.server_port}", tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_video_comes_whole_and_its_name_has_no_credentials(http_folder: tuple[str, Path]) -> None:
    host, folder = http_folder
    write_clip(folder / "clip.mkv", [numbered_image(i) for i in range(12)])
    frames, info, _ = read(f"http://user:s3cret@{host}/clip.mkv?token=s3cret")
    assert [number_of(frame.image_bgr) for frame in frames] == list(range(12))
    assert info.name == f"http://{host}/clip.mkv"


def test_http_video_can_be_read_again(http_folder: tuple[str, Path]) -> None:
    address, folder = http_folder
    write_clip(folder / "clip.mp4", [numbered_image(i) for i in range(6)])
    with VideoSource(f"http://{address}/clip.mp4") as source:
        assert not source.info.live
        assert [len(list(source)) for _ in range(2)] == [6, 6]


def test_http_not_found_is_told_without_credentials(http_folder: tuple[str, Path]) -> None:
    host, _ = http_folder
    with pytest.raises(SourceError) as caught:
        read(f"http://user:s3cret@{host}/gone.mkv?token=s3cret")
    assert f"http://{host}/gone.mkv" in str(caught.value)
    assert "s3cret" not in str(caught.value)
