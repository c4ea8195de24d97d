"""The server: an event loop in a thread of its own, beside the threads of the pipeline."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from realtime_kp.config import ServeConfig
from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.serve.access import Access
from realtime_kp.serve.encoder import PictureEncoder
from realtime_kp.serve.limits import MAX_CONNECTIONS, SILENT_S
from realtime_kp.serve.picture import Picture
from realtime_kp.serve.requests import ViewerRequest
from realtime_kp.serve.view import LiveStatus, LiveView, PageSettings
from realtime_kp.sources import BrowserCamera

if TYPE_CHECKING:
    from aiohttp import web

    from realtime_kp.serve.hub import Hub

log = logging.getLogger(__name__)

_START_S = 10.0
_STOP_S = 5.0
_HANDLERS_S = 2.0
_REFUSE_S = 0.2


def check_web() -> None:
    """Check before any work that the libraries are there.

    Raises:
        ConfigError: One is missing.
    """
    for name in ("aiohttp", "prometheus_client"):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"--serve needs {name}: pip install 'realtime-kp[web]'")


class ViewServer:
    """Shows a run to browsers. Whoever shows frames never waits: a slow viewer skips some.

    Args:
        config: Where to serve, and to whom.
        settings: What the page has to know.
        camera: Where pictures of a visitor's camera go; None where the source is another.

    Attributes:
        loop_s: Seconds of CPU that the thread of the event loop has taken.
        encoder: Encodes the pictures.
    """

    def __init__(
        self, config: ServeConfig, settings: PageSettings, camera: BrowserCamera | None = None
    ) -> None:
        host_port = config.host_port
        if host_port is None:
            raise ConfigError("a server needs an address: [HOST:]PORT")
        self._host, self._port = host_port
        self._config = config
        self._settings = settings
        self._camera = camera
        self._access = Access(config.token)
        self._stack = ExitStack()
        self._thread = threading.Thread(target=self._run, name="realtime-kp serve", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._hub: Hub | None = None
        self._view: LiveView | None = None
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._delivered = threading.Semaphore(2)
        self.encoder = PictureEncoder(self._deliver)
        self.loop_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(_START_S) or self._failure is not None:
            self._close()
            raise SinkError(
                f"cannot serve at {self._host}:{self._port} ({self._failure or 'no answer'}): "
                "choose another address or port; port 0 is any free one"
            ) from self._failure
        self._stack.enter_context(self.encoder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._close()

    @property
    def address(self) -> str:
        """Where a browser finds the page, without the token."""
        host = socket.gethostname() if self._host in ("0.0.0.0", "::") else self._host
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self._port}/"

    @property
    def link(self) -> str:
        """The address with the token, for the first visit."""
        return self.address + ("" if self._access.token is None else f"?token={self._access.token}")

    def show(self, view: LiveView) -> None:
        """Show a frame; the newest one counts. May be called from any thread."""
        self.encoder.show(view)
        with self._lock:
            waiting, self._view = self._view is not None, view
        # A loop that is busy finds the newest frame when it comes to it, and no queue of them.
        if not waiting:
            self._call(self._show)

    def tell(self, status: LiveStatus) -> None:
        """Tell how the run is doing. May be called from any thread."""
        self._call(lambda: self._known_hub.tell(status))

    def offer(self, path: Path) -> None:
        """Offer a finished file to be fetched. May be called from any thread."""
        self._call(lambda: self._known_hub.offer(path))

    def wait_for_request(self, timeout_s: float) -> None:
        """Wait until a viewer asks for something, or for a time."""
        self._asked.wait(timeout_s)
        self._asked.clear()

    def requests(self) -> list[ViewerRequest]:
        """What viewers have asked for since the last call. May be called from any thread."""
        return [] if self._hub is None else self._hub.take_requests()

    @property
    def _known_hub(self) -> Hub:
        assert self._hub is not None
        return self._hub

    def _show(self) -> None:
        with self._lock:
            view, self._view = self._view, None
        if view is not None:
            self._known_hub.show(view)

    def _deliver(self, picture: Picture) -> None:
        """Hand a picture to the event loop, which may be so many behind, and no more."""
        if self._delivered.acquire(timeout=_STOP_S):
            self._call(lambda: self._take_picture(picture))
        else:
            self.encoder.ask_for_key(picture.kind)  # those after it need it

    def _take_picture(self, picture: Picture) -> None:
        self._delivered.release()
        self._known_hub.deliver(picture)

    def _call(self, body: Callable[[], None]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(body)
        except RuntimeError:
            return  # it was closed meanwhile

    def _close(self) -> None:
        stop = self._stop
        if stop is not None:
            self._call(stop.set)
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            log.warning("the server did not end within %.0f s", _STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as exc:  # told by whoever waits for the start
            self._failure = exc
        finally:
            self._started.set()

    async def _serve(self) -> None:
        from aiohttp import web

        from realtime_kp.serve.handlers import HEARD, make_app
        from realtime_kp.serve.hub import Hub

        loop = asyncio.get_running_loop()
        hub = Hub(self._settings, self.encoder, self._camera, read_only=self._config.read_only)
        hub.on_request = self._asked.set
        app = make_app(hub, self._access)
        # What clients do wrong is counted, and not told.
        quiet = logging.getLogger(f"{__name__}.requests")
        quiet.propagate = False
        quiet.addHandler(logging.NullHandler())
        runner = web.AppRunner(
            app, access_log=None, logger=quiet, shutdown_timeout=_HANDLERS_S, keepalive_timeout=SILENT_S
        )
        await runner.setup()
        try:
            watch = _ConnectionWatch(runner, app[HEARD], loop)
            server = await self._listening(loop, watch.connection)
            self._hub, self._loop, self._stop = hub, loop, asyncio.Event()
            self._started.set()
            meter = loop.create_task(self._measure())
            await self._stop.wait()
            meter.cancel()
            server.close()
            hub.close()
        finally:
            await runner.cleanup()

    async def _listening(
        self, loop: asyncio.AbstractEventLoop, connection: Callable[[], asyncio.Protocol]
    ) -> asyncio.Server:
        """A server; where a name has several addresses, with the same port at all of them."""
        server = await loop.create_server(connection, self._host, self._port, backlog=128)
        first, *others = (one.getsockname()[1] for one in server.sockets)
        if any(port != first for port in others):
            server.close()
            await server.wait_closed()
            server = await loop.create_server(connection, self._host, first, backlog=128)
        self._port = first
        return server

    async def _measure(self) -> None:
        while True:
            self.loop_s = time.thread_time()
            await asyncio.sleep(0.1)


class _ConnectionWatch:
    """Ends connections that are too many, and those that say nothing."""

    def __init__(self, runner: web.AppRunner, heard: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._runner = runner
        self._heard = heard
        self._loop = loop
        self._open: list[tuple[Any, float]] = []  # protocols, and when they were made

    def connection(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        assert self._runner.server is not None
        protocol: Any = self._runner.server()
        now_s = self._loop.time()
        # It gets its transport soon after this returns, and has none again when the connection is over.
        self._open = [
            (one, made_s)
            for one, made_s in self._open
            if one.transport is not None or now_s - made_s < _REFUSE_S
        ]
        if len(self._open) >= MAX_CONNECTIONS:
            self._loop.call_later(_REFUSE_S, self._end, protocol)
        else:
            self._open.append((protocol, now_s))
            self._loop.call_later(SILENT_S, self._end_if_silent, protocol)
        return protocol  # type: ignore[no-any-return]

    def _end_if_silent(self, protocol: Any) -> None:
        if protocol.transport is not None and protocol.transport not in self._heard:
            self._end(protocol)

    def _end(self, protocol: Any) -> None:
        if protocol.transport is not None:
            protocol.transport.abort()
