from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

from realtime_kp import Frame, Pipeline, SourceError, Tracker
from realtime_kp.config import InputConfig
from realtime_kp.sources import ReconnectingSource, SourceInfo, VideoSource, open_source
from tests.conftest import StubExtractor, make_frame, within
from tests.sources.network_cameras import MjpegCamera, NetworkCamera, RtspCamera, has_rtsp_server

T = TypeVar("T")
CAMERAS = [
    MjpegCamera,
    pytest.param(
        RtspCamera, marks=pytest.mark.skipif(not has_rtsp_server(), reason="needs GStreamer's RTSP server")
    ),
]


class Session:
    """One life of a camera: so many frames, then a fault or the end; or it cannot be opened."""

    damage: str | None = None

    def __init__(
        self,
        frames: int,
        *,
        opens: bool = True,
        ends: bool = False,
        live: bool = True,
        size_wh: tuple[int, int] = (64, 48),
        interval_s: float = 0.0,
    ) -> None:
        self.interval_s = interval_s
        self.frames = frames
        self.opens = opens
        self.ends = ends
        self.live = live
        self.size_wh = size_wh
        self.closed = 0

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("flaky", self.size_wh, 30.0, None, self.live)

    def __enter__(self) -> Self:
        if not self.opens:
            raise SourceError("flaky cannot be opened")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed += 1

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frames):
            time.sleep(self.interval_s)
            yield make_frame(index, self.size_wh)
        if not self.ends:
            raise SourceError("flaky has stopped sending frames")


def returning(sessions: Sequence[Session], attempts: int | None) -> ReconnectingSource:
    left = iter(sessions)
    return ReconnectingSource(lambda: next(left), attempts)


def until_given_up(frames: Iterable[T], see: Callable[[T], None] = lambda frame: None) -> tuple[list[T], str]:
    """All that comes, and why no more does."""
    found: list[T] = []
    with pytest.raises(SourceError) as error:  # noqa: PT012
        for frame in frames:
            see(frame)
            found.append(frame)
    return found, str(error.value)


def test_it_goes_on_after_a_loss_with_the_time_that_passed() -> None:
    lives = [Session(3), Session(0, opens=False), Session(0), Session(3, ends=True)]
    gone = [Session(0, opens=False) for _ in range(3)]
    arrived_s = []

    def see(frame: Frame) -> None:
        assert source.lost_at_s is None
        arrived_s.append(time.perf_counter())

    with returning(lives + gone, 3) as source:
        frames, message = until_given_up(source, see)
    assert message == "flaky cannot be opened; it did not come back in 3 attempts"
    assert source.lost_at_s is not None
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.session for frame in frames] == [0, 0, 0, 3, 3, 3]
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    # Three attempts: after 0.1, 0.2 and 0.4 s.
    assert arrived_s[3] - arrived_s[2] >= 0.7
    assert times[3] - times[0] == pytest.approx(arrived_s[3] - arrived_s[0], abs=0.05)
    assert [session.closed for session in lives] == [1, 0, 1, 1]


def test_failures_count_from_the_last_frame() -> None:
    sessions = [Session(1) for _ in range(6)] + [Session(0, opens=False)] * 2
    with returning(sessions, 1) as source:
        frames, _ = until_given_up(source)
    assert [frame.session for frame in frames] == list(range(6))


def test_the_first_opening_must_succeed() -> None:
    with pytest.raises(SourceError, match="cannot be opened"), returning([Session(0, opens=False)], None):
        pass


@pytest.mark.parametrize("ends", [True, False])
def test_recordings_end_as_ever(ends: bool) -> None:
    session = Session(3, live=False, ends=ends)
    with returning([session], None) as source:
        frames = iter(source)
        assert [next(frames).index for _ in range(3)] == [0, 1, 2]
        if ends:
            assert next(frames, None) is None
        else:
            with pytest.raises(SourceError, match="stopped sending frames"):
                next(frames)
    assert session.closed == 1


@pytest.mark.parametrize(
    ("reconnect", "wrapped"),
    [("auto", False), ("never", False), ("0", False), ("3", True), ("forever", True)],
)
@pytest.mark.parametrize("spec", ["0", "rtsp://127.0.0.1/cam", "http://127.0.0.1/cam"])
def test_who_is_tried_again(spec: str, reconnect: str, wrapped: bool) -> None:
    source = open_source(spec, InputConfig(reconnect=reconnect))
    assert isinstance(source, ReconnectingSource) == wrapped


def test_a_file_is_not_tried_again(clip: Path) -> None:
    assert isinstance(open_source(clip, InputConfig(reconnect="forever")), VideoSource)


def test_quitting_does_not_wait_for_a_lost_source() -> None:
    sessions = [Session(2), *(Session(0, opens=False) for _ in range(100))]
    source = returning(sessions, None)
    with Pipeline(source, StubExtractor(), Tracker(kind="descriptor")) as pipeline:
        assert within(5, lambda: pipeline.poll(0.01) is None and (pipeline.source_lost_s or 0) > 0.3)
        started_s = time.perf_counter()
    assert time.perf_counter() - started_s < 0.5


def test_tracks_end_at_a_loss_and_ids_are_never_used_again() -> None:
    # The third life has another size.
    lives = [Session(20, size_wh=size, interval_s=0.02) for size in ((64, 48), (64, 48), (96, 48))]
    sessions = [*lives, Session(0, opens=False)]
    seen: dict[int, set[int]] = {}
    pipeline = Pipeline(returning(sessions, 1), StubExtractor(), Tracker(kind="descriptor"))
    with pipeline:
        frames, _ = until_given_up(pipeline)
    for tracked in frames:
        seen.setdefault(tracked.frame.session, set()).update(tracked.tracks.ids.tolist())
    assert sorted(seen) == [0, 1, 2]
    assert all(seen.values())
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]


def descriptors_open() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
@pytest.mark.slow
@pytest.mark.parametrize("cycles", [4, pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("kind", CAMERAS)
def test_a_network_camera_that_comes_and_goes(kind: Callable[[], NetworkCamera], cycles: int) -> None:
    camera = kind()
    try:
        source = open_source(camera.address, InputConfig(reconnect="forever"))
        ids: list[set[int]] = []
        with Pipeline(source, StubExtractor(), Tracker(kind="descriptor"), policy="auto") as pipeline:
            threads, descriptors = 0, 0
            for cycle in range(cycles):
                seen = _watch(pipeline, cycle)
                assert seen, f"no frames in cycle {cycle}"
                assert not any(seen & before for before in ids)
                ids.append(seen)
                if cycle == 0:
                    threads, descriptors = threading.active_count(), descriptors_open()
                camera.kill()
                assert within(4, lambda: pipeline.poll(0.01) is None and pipeline.source_lost_s is not None)
                camera.start()
            assert _watch(pipeline, cycles)
            assert threading.active_count() <= threads
            assert descriptors_open() <= descriptors
    finally:
        camera.kill()


@pytest.mark.slow
@pytest.mark.parametrize("kind", CAMERAS)
def test_a_network_camera_that_stalls_is_noticed_in_time(kind: Callable[[], NetworkCamera]) -> None:
    camera = kind()
    try:
        source = open_source(camera.address, InputConfig(reconnect="forever"))
        with Pipeline(source, StubExtractor(), Tracker(kind="descriptor"), policy="auto") as pipeline:
            assert _watch(pipeline, 0)
            camera.stall(True)
            started_s = time.perf_counter()
            assert within(5, lambda: pipeline.poll(0.01) is None and pipeline.source_lost_s is not None)
            assert time.perf_counter() - started_s < 3
            camera.stall(False)
            assert _watch(pipeline, 1)
    finally:
        camera.kill()


def _watch(pipeline: Pipeline, session: int) -> set[int]:
    """Ids of the tracks of five frames of a session, which must come within 2 s."""
    ids: set[int] = set()
    seen = 0
    deadline_s = time.perf_counter() + 2.5  # half a second for the five frames
    while seen < 5 and time.perf_counter() < deadline_s:
        tracked = pipeline.poll(0.05)
        if tracked is not None and tracked.frame.session >= session:
            seen += 1
            ids |= set(tracked.tracks.ids.tolist())
    return ids if seen == 5 else set()
