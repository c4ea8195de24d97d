"""Video that comes through standard input or a named pipe."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from realtime_kp.errors import SourceError
from realtime_kp.sources import PipeSource, SourceKind, VideoSource, open_source, source_kind
from tests.conftest import child_environment, numbered_image, within, write_clip

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")

FRAMES = 20


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    write_clip(path, [numbered_image(i) for i in range(FRAMES)], fps=25)
    return path


def remuxed(clip: Path, name: str, options: dict[str, str] | None = None) -> bytes:
    path = clip.with_name(name)
    with av.open(str(clip)) as source, av.open(str(path), "w", options=options or {}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path.read_bytes()


def through_pipe(
    folder: Path, data: bytes, start_s: float = 0.0
) -> tuple[list[tuple[int, float]], str | None]:
    """Index and time of each frame of what another thread writes into a named pipe, and the damage."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError):
            pipe.write_bytes(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with open_source(pipe, start_s=start_s) as source:
            assert not source.info.live
            found = [(frame.index, frame.time_s) for frame in source]
            return found, source.damage
    finally:
        writer.join(10)


@pytest.mark.parametrize(
    ("name", "options"),
    [("b.ts", {}), ("b.mkv", {}), ("b.mp4", {"movflags": "frag_keyframe+empty_moov"})],
)
def test_what_needs_no_seeking_comes_whole(clip: Path, name: str, options: dict[str, str]) -> None:
    found, damage = through_pipe(clip.parent, remuxed(clip, name, options))
    assert damage is None
    assert [index for index, _ in found] == list(range(FRAMES))
    with VideoSource(clip) as source:
        expected_s = [frame.time_s for frame in source]
    assert [time_s for _, time_s in found] == pytest.approx(expected_s, abs=2e-3)


def test_start_passes_over_what_comes_before(clip: Path) -> None:
    found, _ = through_pipe(clip.parent, remuxed(clip, "b.mkv"), start_s=0.4)
    assert found[0] == (0, pytest.approx(0.4, abs=2e-3))
    assert len(found) == FRAMES - 10


def test_what_cannot_be_read_without_seeking_is_told(clip: Path) -> None:
    # Too large for what a reader may remember.
    noise = np.random.default_rng(0).integers(0, 255, (FRAMES, 240, 320, 3), np.uint8)
    data = write_clip(clip, list(noise), fps=25).read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    with pytest.raises(SourceError, match="a pipe takes what needs no seeking"):
        through_pipe(clip.parent, data)


def test_it_can_be_read_once(tmp_path: Path, clip: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = remuxed(clip, "b.mkv")
    writer = threading.Thread(target=lambda: pipe.write_bytes(data))
    writer.start()
    with open_source(pipe) as source:
        assert len(list(source)) == FRAMES
        with pytest.raises(SourceError, match="can be read once only"):
            list(source)
    writer.join(10)


def test_waiting_for_a_writer_can_be_interrupted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source = PipeSource(str(tmp_path / "pipe"))
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(SourceError), source:
            list(source)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert not ended.wait(0.3)
    source.interrupt()
    assert ended.wait(10)
    thread.join(10)


def test_kinds(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    kinds = [source_kind(text) for text in ("-", "stdin:", str(tmp_path / "pipe"))]
    assert kinds == [SourceKind.PIPE] * 3


def test_a_pipe_that_ends_at_once_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="ended before anything came"):
        through_pipe(tmp_path, b"")


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, 0.0])
def test_the_command_reads_standard_input(clip: Path, share: float) -> None:
    data = remuxed(clip, "b.mkv")
    words = [
        "video",
        "-",
        "--model",
        "small",
        "--resize",
        "160",
        "-q",
        "--tracks",
        "t.csv",
        "--log",
        "l.jsonl",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "realtime_kp", *words],
        cwd=clip.parent,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        if share:
            _, errors = process.communicate(data, timeout=60)
            assert process.returncode == 0, errors
            with VideoSource(clip.with_name("stdin_tracks.mp4")) as source:
                assert len(list(source)) == FRAMES
            return
        # Nothing comes: it waits, and a signal ends it.
        lock = clip.with_name(".stdin_tracks.mp4.lock")
        assert within(30, lock.exists)
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.communicate()
