"""A run shown in Rerun: into a file, and to a real server of the SDK on the loopback interface."""

from __future__ import annotations

import importlib
import importlib.util
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.frame import Frame
from realtime_kp.keypoints import TrackedFrame, Tracks, TrackState
from realtime_kp.sinks import RerunSink, check_rerun
from tests.conftest import numbered_image
from tests.rerun_files import read_rrd

pytest.importorskip("rerun.chunk", reason="needs pip install 'rerun-sdk>=0.41'")


def tracked(index: int) -> TrackedFrame:
    """Three tracks: seen, tentative and lost."""
    xy = np.array([[10 + index, 20], [30, 10], [5, 5]], np.float32)
    states = np.array([TrackState.CONFIRMED, TrackState.TENTATIVE, TrackState.LOST], np.int8)
    trails = np.full((3, 4, 2), np.nan, np.float32)
    trails[:, -2:] = np.stack([xy - 1, xy], axis=1)
    seen = np.array([True, True, False])
    ones = np.ones(3, np.float32)
    tracks = Tracks(np.array([7, 8, 9]), xy, ones, np.full(3, 5, np.int32), states, seen, trails)
    return TrackedFrame(Frame(index, index / 20, 0.0, numbered_image(index)), None, tracks)


def check_frames(path: Path) -> list[int]:
    """The frames of a recording, which must hold what was written."""
    found = read_rrd(path)
    frames = [frame for frame, _, _ in found["video VideoStream:sample"]]
    assert frames == [frame for frame, _, _ in found["video/tracks track_id"]]
    for frame, time_ns, ids in found["video/tracks track_id"]:
        assert (ids, time_ns) == ([7], frame * 50_000_000)
    for frame, _, positions in found["video/tracks Points2D:positions"]:
        assert positions == [[10.5 + frame, 20.5]]
    for frame, _, strips in found["video/trails LineStrips2D:strips"]:
        assert strips == [[[9.5 + frame, 19.5], [10.5 + frame, 20.5]]]
    assert {tuple(value) for _, _, value in found["figures/mean_length Scalars:scalars"]} == {(5,)}
    return frames


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """A process of the SDK that takes what is sent to an address, and writes it to a file when it ends."""
    port, received = free_port(), tmp_path / "received.rrd"
    # The programme itself: signals to the Python module would not reach it.
    binary = Path(importlib.import_module("rerun_cli").__file__ or "").with_name("rerun")
    command = [str(binary), "--save", str(received), "--port", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline_s = time.perf_counter() + 30
            address = f"rerun+http://127.0.0.1:{port}/proxy"
            while True:
                try:
                    check_rerun(address)
                    break
                except SinkError:
                    assert time.perf_counter() < deadline_s
                    time.sleep(0.05)
            yield process, address, received
        finally:
            process.kill()


def test_a_file_holds_the_run(tmp_path: Path) -> None:
    path = tmp_path / "t.rrd"
    with RerunSink(str(path)) as sink:
        for index in range(12):
            sink.write(None, tracked(index))
            time.sleep(0.02)
        assert not path.exists()
    frames = check_frames(path)
    assert frames[-1] == 11
    assert len(frames) >= 4
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_failed_run_wrote_is_kept_under_another_name(tmp_path: Path) -> None:
    def fail() -> None:
        with RerunSink(str(tmp_path / "t.rrd")) as sink:
            for index in range(4):
                sink.write(None, tracked(index))
            raise RuntimeError("elsewhere")

    with pytest.raises(RuntimeError, match="elsewhere"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["t.partial.rrd"]


def test_a_file_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    def write_into_a_folder_that_is_not_there() -> None:
        with RerunSink(str(tmp_path / "none" / "t.rrd")) as sink:
            for index in range(1000):
                sink.write(None, tracked(index))
                time.sleep(0.01)
            pytest.fail("it was never told")

    with pytest.raises(SinkError, match=r"cannot write .*t\.rrd"):
        write_into_a_folder_that_is_not_there()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:RRD file has no footer")  # the server was stopped by a signal
def test_a_viewer_is_sent_the_run(server: tuple[subprocess.Popen[bytes], str, Path]) -> None:
    process, address, received = server
    with RerunSink(address) as sink:
        for index in range(30):
            sink.write(None, tracked(index))
            time.sleep(0.02)
    process.terminate()
    process.wait(20)
    frames = check_frames(received)
    assert len(frames) >= 15
    assert frames[-1] == 29


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_viewer_that_has_gone_or_hangs_costs_nothing_but_a_line(
    server: tuple[subprocess.Popen[bytes], str, Path], caplog: pytest.LogCaptureFixture, blow: signal.Signals
) -> None:
    process, address, _ = server
    longest_s, told_s = 0.0, None
    with RerunSink(address) as sink:
        started_s = time.perf_counter()
        for index in range(100_000):
            if index == 30:
                process.send_signal(blow)
            before_s = time.perf_counter()
            sink.write(None, tracked(index))
            longest_s = max(longest_s, time.perf_counter() - before_s)
            time.sleep(0.02)
            if "nothing more is sent to Rerun" in caplog.text:
                told_s = time.perf_counter() - started_s
                break
            assert time.perf_counter() - started_s < 30
        for index in range(100_000, 100_010):
            sink.write(None, tracked(index))
    assert told_s is not None
    assert longest_s < 1  # a hang would be seconds
    assert caplog.text.count("nothing more is sent to Rerun") == 1


def test_an_address_where_nothing_answers() -> None:
    with pytest.raises(SinkError, match="no Rerun Viewer answers at"):
        check_rerun(f"rerun+http://127.0.0.1:{free_port()}/proxy")
    check_rerun("spawn")
    check_rerun("t.rrd")


def test_without_rerun_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'realtime-kp\[rerun\]'"):
        check_rerun("t.rrd")
