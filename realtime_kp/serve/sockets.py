"""The WebSockets: pictures, tracks, control, and a visitor's camera."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TypeVar

from aiohttp import ClientConnectionResetError, WSMsgType, web

from realtime_kp.errors import ArgumentError
from realtime_kp.serve.access import same_origin
from realtime_kp.serve.controls import news
from realtime_kp.serve.hub import Hub, TracksKind
from realtime_kp.serve.limits import (
    CAMERA_BYTES,
    CONTROL_BYTES,
    MAX_STREAMS,
    UNTAKEN_MS,
    TokenBucket,
)
from realtime_kp.serve.outbox import WINDOW, Outbox, OutboxClosedError
from realtime_kp.serve.picture import CODECS, VARIANTS, Picture, PictureKind
from realtime_kp.serve.requests import SettingChanged, message_of, number_in, request_of
from realtime_kp.sources import BrowserCamera

T = TypeVar("T")

log = logging.getLogger(__name__)

HUB = web.AppKey("hub", Hub)

_HEARTBEAT_S = 10.0
_SEND_BUFFER = 128 << 10
_MESSAGES_PER_S = 200.0
_PICTURES_PER_S = 60.0
_MOST_EXCESS = 300
_REQUESTS_PER_S, _REQUESTS_AT_ONCE = 10.0, 20.0
# So many messages in a row that mean nothing, and the connection ends.
_MOST_MISTAKES = 20
_CAMERA_HEADER = struct.Struct("<d")
_GOING_AWAY, _POLICY, _INTERNAL = 1001, 1008, 1011


def add_sockets(app: web.Application) -> None:
    """Add the routes of all WebSockets."""
    app.router.add_get("/picture", _picture)
    app.router.add_get("/tracks", _tracks)
    app.router.add_get("/control", _control)
    app.router.add_get("/camera", _camera)


def limit_send_buffer(request: web.Request) -> None:
    """What waits in the system's buffers only grows old there."""
    found = None if request.transport is None else request.transport.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)


def limit_untaken(request: web.Request) -> None:
    """End the connection of whoever takes nothing for long, where the system can."""
    found = None if request.transport is None else request.transport.get_extra_info("socket")
    if found is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)


async def _picture(request: web.Request) -> web.StreamResponse:
    """Pictures, one a message; the viewer answers each with `{"ack": FRAME}` where it asked for `acks=1`."""
    hub = hub_with_room(request)
    codec = choice(request, "codec", CODECS)
    kind = PictureKind(codec, choice(request, "variant", VARIANTS))
    connection = await _opened(request, CONTROL_BYTES)

    async def send(picture: Picture) -> None:
        await connection.send_bytes(picture.message())

    with hub.watching(kind, _window(request)) as outbox:
        await _exchange(connection, outbox, send, _Answers(outbox), hub)
    return connection


async def _tracks(request: web.Request) -> web.StreamResponse:
    """Tracks, a message a frame; answers as for pictures."""
    hub = hub_with_room(request)
    binary = choice(request, "format", ("json", "binary")) == "binary"
    kind = TracksKind(binary, binary and request.query.get("keypoints") == "1")
    connection = await _opened(request, CONTROL_BYTES)

    async def send(message: str | bytes) -> None:
        if isinstance(message, bytes):
            await connection.send_bytes(message)
        else:
            await connection.send_str(message)

    with hub.following(kind, _window(request)) as outbox:
        await _exchange(connection, outbox, send, _Answers(outbox), hub)
    return connection


async def _control(request: web.Request) -> web.StreamResponse:
    """News of the run in JSON, and what viewers ask for."""
    hub = hub_with_room(request)
    connection = await _opened(request, CONTROL_BYTES)
    outbox: Outbox[str] = Outbox()
    hello = {"camera": hub.camera is not None, **hub.settings.to_dict()}
    outbox.put(news("hello", hello), "hello")
    hub.desk.join(outbox)
    outbox.put(news("status", asdict(hub.status)), "status")
    outbox.put(news("files", {"files": hub.downloads.listed()}), "files")
    try:
        await _exchange(connection, outbox, connection.send_str, _Commands(hub, outbox), hub)
    finally:
        hub.desk.leave(outbox)
    return connection


async def _camera(request: web.Request) -> web.StreamResponse:
    """Pictures of a visitor's camera: eight bytes with the time of capture, then a JPEG file."""
    hub = request.app[HUB]
    if hub.camera is None:
        raise web.HTTPNotFound(text="the source is not a browser's camera\n")
    if hub.desk.read_only:
        raise web.HTTPForbidden(text="viewers control nothing here\n")
    if hub.camera_taken:
        raise web.HTTPConflict(text="another browser's camera is in use\n")
    # Before anything is waited for: another one may ask meanwhile.
    hub.camera_taken = True
    try:
        connection = await _opened(request, CAMERA_BYTES)
        await _take_pictures(connection, hub.camera)
    finally:
        hub.camera_taken = False
    return connection


async def _take_pictures(connection: web.WebSocketResponse, camera: BrowserCamera) -> None:
    bucket, excess = TokenBucket(_PICTURES_PER_S, _PICTURES_PER_S), 0
    async for message in connection:
        if message.type is not WSMsgType.BINARY or len(message.data) <= _CAMERA_HEADER.size:
            camera.refuse()
            await connection.close(code=_POLICY, message=b"not a picture")
        elif bucket.take():
            (captured_at_s,) = _CAMERA_HEADER.unpack_from(message.data)
            camera.push(message.data[_CAMERA_HEADER.size :], captured_at_s)
        else:
            excess += 1
            camera.refuse()
            if excess >= _MOST_EXCESS:
                await connection.close(code=_POLICY, message=b"too many pictures")


class _Answers:
    """Reads the answers of a viewer of pictures or tracks."""

    def __init__(self, outbox: Outbox[Picture] | Outbox[str | bytes]) -> None:
        self._outbox = outbox

    def __call__(self, text: str) -> None:
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ArgumentError("an answer must be JSON") from exc
        number = number_in(values, "ack") if isinstance(values, dict) else None
        if number is None:
            raise ArgumentError('an answer must be {"ack": FRAME}')
        self._outbox.answered(int(number))


class _Commands:
    """Reads what a viewer asks for."""

    def __init__(self, hub: Hub, outbox: Outbox[str]) -> None:
        self._hub = hub
        self._outbox = outbox
        self._bucket = TokenBucket(_REQUESTS_PER_S, _REQUESTS_AT_ONCE)

    def __call__(self, text: str) -> None:
        values = message_of(text)
        kind = values["type"]
        if kind == "ping":
            pong = {"sent": number_in(values, "sent"), "server_s": time.perf_counter()}
            self._outbox.put(news("pong", pong), "pong")
        elif kind == "take":
            self._hub.desk.take(self._outbox)
        elif kind == "release":
            self._hub.desk.release(self._outbox)
        else:
            request = request_of(values)
            # Sliders move often; all else is more than a person does.
            often = not isinstance(request, SettingChanged) and not self._bucket.take()
            if not self._hub.desk.may_control(self._outbox):
                self._refuse("you do not hold the controls")
            elif often:
                self._refuse("too much at once")
            else:
                self._hub.ask(request)

    def _refuse(self, reason: str) -> None:
        self._hub.refused["command"] += 1
        self._outbox.put(news("error", {"reason": reason}), "error")


async def _exchange(
    connection: web.WebSocketResponse,
    outbox: Outbox[T],
    send: Callable[[T], Awaitable[None]],
    hear: Callable[[str], None],
    hub: Hub,
) -> None:
    """Send what is in the outbox, and hear what the viewer says, until either side ends it."""
    sender = asyncio.create_task(_send_all(connection, outbox, send))
    try:
        await _hear_all(connection, hear, hub)
    finally:
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender


async def _send_all(
    connection: web.WebSocketResponse, outbox: Outbox[T], send: Callable[[T], Awaitable[None]]
) -> None:
    try:
        while True:
            await send(await outbox.get())
    except OutboxClosedError:
        await connection.close(code=_GOING_AWAY, message=b"the run has ended")
    except (ClientConnectionResetError, ConnectionError):
        return  # the reader sees it too
    except Exception:
        log.exception("a message for a viewer cannot be made")
        await connection.close(code=_INTERNAL, message=b"internal error")


async def _hear_all(connection: web.WebSocketResponse, hear: Callable[[str], None], hub: Hub) -> None:
    bucket, mistakes = TokenBucket(_MESSAGES_PER_S, 2 * _MESSAGES_PER_S), 0
    async for message in connection:
        if not bucket.take():
            await connection.close(code=_POLICY, message=b"too many messages")
            return
        try:
            if message.type is not WSMsgType.TEXT:
                raise ArgumentError("a message must be text")
            hear(message.data)
            mistakes = 0
        except ArgumentError:
            hub.refused["message"] += 1
            mistakes += 1
            if mistakes >= _MOST_MISTAKES:
                await connection.close(code=_POLICY, message=b"messages that mean nothing")
                return


async def _opened(request: web.Request, most_bytes: int) -> web.WebSocketResponse:
    connection = web.WebSocketResponse(
        heartbeat=_HEARTBEAT_S, compress=False, max_msg_size=most_bytes, writer_limit=_SEND_BUFFER // 2
    )
    if not connection.can_prepare(request).ok:
        raise web.HTTPUpgradeRequired(text="this is a WebSocket\n", headers={"Upgrade": "websocket"})
    if not same_origin(request.headers.get("Origin"), request.host):
        raise web.HTTPForbidden(text="another site's page may not connect\n")
    limit_send_buffer(request)
    await connection.prepare(request)
    return connection


def hub_with_room(request: web.Request) -> Hub:
    """The hub, where there is room for a further stream.

    Raises:
        web.HTTPServiceUnavailable: There is none.
    """
    hub = request.app[HUB]
    if hub.viewers + len(hub.desk) >= MAX_STREAMS:
        raise web.HTTPServiceUnavailable(text="too many viewers\n")
    return hub


def _window(request: web.Request) -> int | None:
    return WINDOW if request.query.get("acks") == "1" else None


def choice(request: web.Request, name: str, choices: tuple[T, ...]) -> T:
    """A value of the address, the first one unless it is given."""
    given = request.query.get(name, choices[0])
    if given not in choices:
        raise web.HTTPBadRequest(text=f"{name} must be one of {', '.join(map(str, choices))}\n")
    return choices[choices.index(given)]
