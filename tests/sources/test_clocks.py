"""Times of frames: one origin for all containers, clocks that wrap, jump, are missing, or begin anywhere."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime_kp import Tracker
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.pipeline import Pipeline
from realtime_kp.sources import SourceInfo, VideoSource, open_source
from tests.conftest import StubExtractor, numbered_image, write_clip
from tests.sources.test_video import number_of

TICKS = 90_000
WRAP = 2**33


def write_transport_stream(path: Path, first_ticks: int, count: int = 40, step_ticks: int = 3003) -> Path:
    """A transport stream without B-frames whose clock has 33 bits, as broadcasters' clocks have."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_image(number % 24), format="bgr24")
            frame.pts, frame.time_base = first_ticks + number * step_ticks, Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path: Path, start_s: float = 0.0) -> tuple[list[Frame], SourceInfo, str | None]:
    with open_source(path, start_s=start_s) as source:
        return list(source), source.info, source.damage


@pytest.mark.parametrize("before_wrap", [45_000, 3003 * 60, 0])
def test_a_transport_stream_whose_clock_wraps_comes_whole(tmp_path: Path, before_wrap: int) -> None:
    path = write_transport_stream(tmp_path / "a.ts", WRAP - before_wrap)
    frames, _, damage = read(path)
    assert damage is None
    assert [number_of(f.image_bgr) for f in frames] == [i % 24 for i in range(40)]
    assert [f.time_s for f in frames] == pytest.approx([i * 3003 / TICKS for i in range(40)], abs=1e-4)


def test_start_and_a_second_reading_work_on_a_clock_that_wraps(tmp_path: Path) -> None:
    path = write_transport_stream(tmp_path / "a.ts", WRAP - 45_000)
    frames, _, damage = read(path, start_s=0.7)
    assert damage is None
    assert len(frames) == 40 - 21
    assert frames[0].time_s == pytest.approx(21 * 3003 / TICKS, abs=1e-4)
    with open_source(path) as source:
        assert len(list(source)) == len(list(source)) == 40


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv", ".avi", ".mov"])
def test_the_first_frame_is_at_time_0_in_every_container(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_image(number), format="bgr24")))
        container.mux(stream.encode(None))
    frames, _, _ = read(path)
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(20)], abs=1e-3)


def test_a_clock_that_begins_at_an_hour_is_told_apart_from_the_times(tmp_path: Path) -> None:
    times_s = [3600 + i / 25 for i in range(10)]
    path = write_clip(tmp_path / "a.mkv", [numbered_image(i) for i in range(10)], times_s=times_s)
    frames, info, damage = read(path)
    assert info.begin_s == pytest.approx(3600, abs=1e-3)
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(10)], abs=1e-3)
    assert damage is None
    later, _, _ = read(path, start_s=0.2)
    assert [f.time_s for f in later] == pytest.approx([i / 25 for i in range(5, 10)], abs=1e-3)


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".h264"), ("libx265", ".hevc")])
@pytest.mark.parametrize("fps", [30, 50])
def test_raw_streams_have_the_rate_that_they_name(tmp_path: Path, codec: str, suffix: str, fps: int) -> None:
    options = {"bf": "0"} if codec == "libx264" else {"x265-params": "log-level=none:bframes=0"}
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            picture = av.VideoFrame.from_ndarray(numbered_image(number), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    frames, info, _ = read(path)
    assert info.fps == pytest.approx(fps)
    assert [f.time_s for f in frames] == pytest.approx([i / fps for i in range(12)], abs=1e-3)


@pytest.mark.parametrize("second_s", [3600.0, -3600.0])
def test_joined_parts_with_clocks_of_their_own_go_on_at_once(
    tmp_path: Path, second_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    begin = 2 * 3600 * TICKS
    first = write_transport_stream(tmp_path / "1.ts", begin, 24)
    second = write_transport_stream(tmp_path / "2.ts", begin + round(second_s * TICKS), 24)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    frames, _, damage = read(joined)
    assert damage is None
    assert [number_of(f.image_bgr) for f in frames] == [*range(24), *range(24)]
    assert np.diff([f.time_s for f in frames]) == pytest.approx([3003 / TICKS] * 47, abs=2e-3)
    assert [f.session for f in frames] == [0] * 24 + [1] * 24
    assert sum("clock jumps" in r.message for r in caplog.records) == 1


def test_a_jump_of_the_clock_ends_the_tracks(tmp_path: Path) -> None:
    first = write_transport_stream(tmp_path / "1.ts", TICKS, 12)
    second = write_transport_stream(tmp_path / "2.ts", 5000 * TICKS, 12)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    with Pipeline(open_source(joined), StubExtractor(), Tracker(kind="descriptor")) as pipeline:
        ids = [set(tracked.tracks.ids.tolist()) for tracked in pipeline]
    assert len(ids) == 24
    assert ids[11]
    assert not ids[11] & ids[12]


def test_a_long_pause_of_a_recording_stays_as_long_as_it_was(tmp_path: Path) -> None:
    times_s = [0.0, 0.04, 0.08, 100.0, 100.04]
    path = write_clip(tmp_path / "a.mkv", [numbered_image(i) for i in range(5)], times_s=times_s)
    frames, _, _ = read(path)
    assert [f.time_s for f in frames] == pytest.approx(times_s, abs=1e-3)
    assert {f.session for f in frames} == {0}


@contextmanager
def camera(send: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The address of an HTTP server on loopback that answers with `send`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                send(self)
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("step_s", [0.14, 0.02])
def test_pictures_of_a_network_camera_get_the_times_of_their_arrival(step_s: float) -> None:
    count = 15
    sent_s: list[float] = []
    done = threading.Event()

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        for number in itertools.count():
            picture = cv2.imencode(".jpg", numbered_image(number % 24))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            handler.wfile.write(head.encode() + picture + b"\r\n")
            sent_s.append(time.perf_counter())
            if done.wait(step_s):
                return

    with camera(send) as address:
        with VideoSource(address, timeout_s=10) as source:
            frames = list(itertools.islice(source, count))
            live, fps = source.info.live, source.info.fps
        done.set()
    assert live
    assert fps is None
    took_s = frames[-1].time_s - frames[0].time_s
    assert frames[0].time_s == 0
    # The first pictures wait while FFmpeg looks at the stream.
    assert took_s <= sent_s[-1] - sent_s[0] + 0.5
    later = np.diff([f.time_s for f in frames[5:]])
    assert step_s / 2 <= np.median(later) <= 3 * step_s + 0.1


def test_a_stalled_server_is_told_with_the_time_that_was_waited() -> None:
    gone = threading.Event()
    with camera(lambda handler: (gone.wait(20), None)[1]) as address:
        source = VideoSource(address, timeout_s=0.3)
        with pytest.raises(SourceError, match=r"no answer for 0\.6 s"):
            source.__enter__()
        gone.set()


def test_the_last_frame_of_h264_in_avi_is_as_late_as_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001), options={"bf": "0", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(36):
            image = rng.integers(0, 255, (120, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    with open_source(path) as source:
        times_s = [frame.time_s for frame in source]
        assert source.damage is None
        assert source.info.fps == pytest.approx(30000 / 1001)
        assert source.info.frame_count == 36
    np.testing.assert_allclose(times_s, np.arange(36) * 1001 / 30000, atol=1e-6)
