"""A server with frames of its own making, and a client for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, CookieJar

from realtime_kp.config import ServeConfig
from realtime_kp.frame import Frame
from realtime_kp.keypoints import TrackedFrame, Tracks, TrackState
from realtime_kp.serve import LiveStatus, LiveView, PageSettings, ViewServer
from realtime_kp.sources import BrowserCamera

T = TypeVar("T")

SIZE_WH = (320, 240)
TOKEN = "correct-horse-battery"


def tracked_frame(index: int, count: int = 50, size_wh: tuple[int, int] = SIZE_WH) -> TrackedFrame:
    """A frame whose picture and tracks tell its index; its second track is a point of one's own."""
    rng = np.random.default_rng(0)
    image = np.full((size_wh[1], size_wh[0], 3), 40 + index % 150, np.uint8)
    image[60:180, 40 + index % 200 : 80 + index % 200] = (40, 200, 90)
    xy = (rng.random((count, 2)) * size_wh + (index % 10, 0)).astype(np.float32)
    states = np.full(count, TrackState.CONFIRMED, np.int8)
    states[-1:] = TrackState.LOST
    tracks = Tracks(
        ids=np.arange(1, count + 1, dtype=np.int64) + 2**33,
        xy=xy,
        scores=rng.random(count, np.float32),
        lengths=np.arange(count, dtype=np.int32) + 1,
        states=states,
        seen=np.arange(count) % 3 > 0,
        trails_xy=xy[:, np.newaxis],
        sigma_px=np.where(np.arange(count) % 2, 0.25, np.nan).astype(np.float32),
        labels={2**33 + 2: "corner"} if count > 1 else {},
    )
    return TrackedFrame(Frame(index, index / 30, time.perf_counter(), image), None, tracks)


@contextmanager
def served(
    *,
    address: str = "0",
    token: str | None = None,
    read_only: bool = False,
    settings: PageSettings | None = None,
    camera: BrowserCamera | None = None,
) -> Iterator[ViewServer]:
    """A server without frames."""
    config = ServeConfig(address=address, token=token, read_only=read_only)
    with ViewServer(config, settings or PageSettings("test"), camera) as server:
        yield server


@contextmanager
def showing(server: ViewServer, *, fps: float = 30.0, size_wh: tuple[int, int] = SIZE_WH) -> Iterator[None]:
    """Frames at a steady rate, and a status with each."""
    over = threading.Event()

    def show() -> None:
        for index in range(10**6):
            frame = tracked_frame(index, size_wh=size_wh)
            server.show(LiveView(frame, 255 - frame.frame.image_bgr))
            server.tell(LiveStatus(phase="running", reason="", threshold=0.01))
            if over.wait(1 / fps):
                return

    thread = threading.Thread(target=show, name="realtime-kp test frames")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Client:
    """A client that knows the server's address, and closes all that it opened.

    Args:
        session: Does the work.
    """

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._sockets: list[ClientWebSocketResponse] = []

    def get(self, path: str, **options: Any) -> Any:
        """An answer, to be used as a context."""
        return self._session.get(path, **options)

    async def ws_connect(self, path: str, **options: Any) -> ClientWebSocketResponse:
        """A WebSocket."""
        self._sockets.append(await self._session.ws_connect(path, **options))
        return self._sockets[-1]

    async def close(self) -> None:
        """Close all WebSockets."""
        for one in self._sockets:
            await one.close()


def talk(view: ViewServer, body: Callable[[Client], Awaitable[T]], timeout_s: float = 60) -> T:
    """Run a client of a server."""
    return talk_to(view.address, body, timeout_s)


def talk_to(address: str, body: Callable[[Client], Awaitable[T]], timeout_s: float = 60) -> T:
    """Run a client of the server at an address."""

    async def run() -> T:
        # Cookies of addresses that are numbers are kept only where that is asked for.
        session = ClientSession(
            address, cookie_jar=CookieJar(unsafe=True), timeout=ClientTimeout(total=timeout_s)
        )
        async with session:
            client = Client(session)
            try:
                return await asyncio.wait_for(body(client), timeout_s)
            finally:
                await client.close()

    return asyncio.run(run())
