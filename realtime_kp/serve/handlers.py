"""Everything that is asked for by HTTP: the page, MJPEG, figures, files."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib import resources
from weakref import WeakKeyDictionary

from aiohttp import ClientConnectionResetError, web

from realtime_kp.serve.access import Access
from realtime_kp.serve.hub import Hub
from realtime_kp.serve.limits import REQUESTS_AT_ONCE, REQUESTS_PER_S, FailedAttempts, TokenBucket
from realtime_kp.serve.metrics import metrics_text
from realtime_kp.serve.outbox import OutboxClosedError
from realtime_kp.serve.picture import PictureKind
from realtime_kp.serve.sockets import (
    HUB,
    add_sockets,
    choice,
    hub_with_room,
    limit_send_buffer,
    limit_untaken,
)

log = logging.getLogger(__name__)

ACCESS = web.AppKey("access", Access)
FAILED = web.AppKey("failed", FailedAttempts)
HEARD: web.AppKey[MutableMapping[asyncio.BaseTransport, TokenBucket]] = web.AppKey("heard", WeakKeyDictionary)
PAGE: web.AppKey[Mapping[str, tuple[bytes, str]]] = web.AppKey("page", dict)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_BOUNDARY = "realtime-kp-frame"
_SEND_S = 30.0
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LOCKED = "This view is locked: open it with ?token=SECRET at the end of its address.\n"
_ELSEWHERE = "Without a token this is served to 127.0.0.1 and localhost only.\n"


def make_app(hub: Hub, access: Access) -> web.Application:
    """The application with all routes."""
    app = web.Application(middlewares=[_guarded], client_max_size=1024)
    app[HUB], app[ACCESS], app[FAILED] = hub, access, FailedAttempts()
    app[HEARD], app[PAGE] = WeakKeyDictionary(), _page_files()
    app.router.add_get("/", _index)
    app.router.add_get("/page/{name}", _page)
    app.router.add_get("/stream.mjpg", _mjpeg, allow_head=False)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/health", _health)
    app.router.add_get("/files/{number}", _file)
    add_sockets(app)
    app.on_response_prepare.append(_with_headers)
    return app


def cookie_name(request: web.Request) -> str:
    """Cookies know no ports: servers on one machine need names of their own."""
    found = None if request.transport is None else request.transport.get_extra_info("sockname")
    return f"realtime_kp_{found[1] if found else 0}"


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.pop("Server", None)


def _note_connection(request: web.Request) -> None:
    """Remember that a connection has asked for something; end it where it asks for too much."""
    transport = request.transport
    if transport is None:
        return
    heard = request.app[HEARD]
    if transport not in heard:
        heard[transport] = TokenBucket(REQUESTS_PER_S, REQUESTS_AT_ONCE)
        limit_untaken(request)
    if not heard[transport].take():
        request.app[HUB].refused["request 429"] += 1
        transport.abort()
        raise web.HTTPTooManyRequests


@web.middleware
async def _guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
    _note_connection(request)
    try:
        _check_access(request)
        return await handler(request)
    except web.HTTPException as exc:
        if exc.status >= 400:
            request.app[HUB].refused[f"request {exc.status}"] += 1
            exc.force_close()  # whatever else was sent on this connection is not looked at
        raise
    except (ClientConnectionResetError, ConnectionError) as exc:
        raise web.HTTPBadRequest from exc  # nobody reads it any more
    except Exception:
        log.exception("a request to %s failed", request.path)
        raise web.HTTPInternalServerError from None


def _check_access(request: web.Request) -> None:
    """Let pass who may; whoever comes with the token in the address gets a cookie instead.

    Raises:
        web.HTTPException: Otherwise.
    """
    access, headers = request.app[ACCESS], request.headers
    if access.token is None:
        if not access.serves(headers.get("Host", "")):
            raise web.HTTPForbidden(text=_ELSEWHERE)
        return
    if access.knows_cookie(request.cookies.get(cookie_name(request), "")):
        if "token" in request.query and request.path == "/":
            raise web.HTTPSeeOther(_without_token(request))
        return
    in_link = request.query.get("token", "") if request.path == "/" else ""
    given = in_link or access.bearer(headers.get("Authorization", ""))
    # A cookie is too long to be guessed, and an old one no attempt.
    if given:
        _check_secret(request, given)
        if in_link:
            raise _with_cookie(request)
        return
    raise web.HTTPUnauthorized(text=_LOCKED, headers={"WWW-Authenticate": "Bearer"})


def _check_secret(request: web.Request, given: str) -> None:
    failed, address = request.app[FAILED], request.remote or ""
    if failed.blocked(address):
        raise web.HTTPTooManyRequests(text="Too many wrong tokens: wait a minute.\n")
    if not request.app[ACCESS].is_token(given):
        failed.count(address)
        raise web.HTTPUnauthorized(text=_LOCKED, headers={"WWW-Authenticate": "Bearer"})


def _with_cookie(request: web.Request) -> web.HTTPSeeOther:
    response = web.HTTPSeeOther(_without_token(request))
    secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
    name, value = cookie_name(request), request.app[ACCESS].cookie
    response.set_cookie(name, value, httponly=True, samesite="Strict", secure=secure, path="/")
    return response


def _without_token(request: web.Request) -> str:
    return str(request.rel_url.without_query_params("token"))


async def _index(request: web.Request) -> web.StreamResponse:
    return _file_of_page(request, "index.html")


async def _page(request: web.Request) -> web.StreamResponse:
    return _file_of_page(request, request.match_info["name"])


def _file_of_page(request: web.Request, name: str) -> web.StreamResponse:
    found = request.app[PAGE].get(name)
    if found is None:
        raise web.HTTPNotFound
    return web.Response(body=found[0], content_type=found[1], charset="utf-8")


def _page_files() -> dict[str, tuple[bytes, str]]:
    """Everything that the page consists of, by name, with its type."""
    folder = resources.files("realtime_kp.serve") / "page"
    files = [file for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES]
    return {file.name: (file.read_bytes(), _TYPES[file.name.rpartition(".")[2]]) for file in files}


async def _mjpeg(request: web.Request) -> web.StreamResponse:
    """Pictures one after the other, as an `<img>` shows them: drawn ones, or `?variant=plain`."""
    hub = hub_with_room(request)
    kind = PictureKind("jpeg", choice(request, "variant", ("drawn", "plain", "marked")))
    response = web.StreamResponse(
        headers={"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"}
    )
    limit_send_buffer(request)
    await response.prepare(request)
    with hub.watching(kind, window=None) as outbox:
        try:
            await response.write(f"--{_BOUNDARY}\r\n".encode())
            while True:
                data = (await outbox.get()).data
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                # A browser shows a picture when it sees the boundary behind it.
                part = head.encode() + data + f"\r\n--{_BOUNDARY}\r\n".encode()
                await asyncio.wait_for(response.write(part), _SEND_S)
        except OutboxClosedError:
            return response
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            return response


async def _metrics(request: web.Request) -> web.StreamResponse:
    hub = request.app[HUB]
    return web.Response(
        body=metrics_text(hub.status, hub.counts()),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def _health(request: web.Request) -> web.StreamResponse:
    reason = request.app[HUB].health()
    body = {"status": "unavailable", "reason": reason} if reason else {"status": "ok"}
    return web.json_response(body, status=503 if reason else 200, dumps=json.dumps)


async def _file(request: web.Request) -> web.StreamResponse:
    path = request.app[HUB].downloads.find(request.match_info["number"])
    if path is None:
        raise web.HTTPNotFound(text="there is no such file, or no longer\n")
    safe = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\;' else "_"
        for letter in path.name
    )
    return web.FileResponse(path, headers={"Content-Disposition": f'attachment; filename="{safe}"'})
