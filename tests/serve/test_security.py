"""Who gets in, and what happens to those who misbehave."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from realtime_kp.serve import ViewServer, limits
from realtime_kp.serve.access import Access
from realtime_kp.sources import BrowserCamera
from tests.conftest import within
from tests.serve.serving import TOKEN, Client, served, showing, talk
from tests.serve.test_server import port, told

EVERYTHING = (
    "",
    "page/main.js",
    "stream.mjpg",
    "metrics",
    "health",
    "files/x",
    "picture",
    "tracks",
    "control",
    "camera",
)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-token-wrong"},
        {"Cookie": "realtime_kp_PORT=" + TOKEN},
        {"Authorization": "Basic " + TOKEN},
    ],
)
def test_without_the_right_token_there_is_nothing(headers: dict[str, str]) -> None:
    async def knock(client: Client) -> None:
        shown = {name: value.replace("PORT", str(port(view))) for name, value in headers.items()}
        for path in EVERYTHING:
            async with client.get(path, headers=shown) as answer:
                assert answer.status in (401, 429), path
                text = await answer.text()
                assert len(text) < 120
                assert TOKEN not in text
        for path in ("control", "picture", "tracks", "camera"):
            with pytest.raises(WSServerHandshakeError):
                await client.ws_connect(path, headers=shown)
        async with client.get("?token=wrong-token-wrong") as answer:
            assert answer.status in (401, 429)
            assert "Set-Cookie" not in answer.headers

    with served(token=TOKEN) as view, showing(view):
        talk(view, knock)


def test_the_first_visit_turns_the_token_into_a_cookie() -> None:
    async def visit(client: Client) -> None:
        async with client.get("", params={"token": TOKEN}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
        assert TOKEN not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        async with client.get("") as answer:
            assert answer.status == 200
        # The address without the token again, for whoever opens the link twice.
        async with client.get("", params={"token": TOKEN}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
        await told(await client.ws_connect("control"), "hello")

    with served(token=TOKEN) as view:
        talk(view, visit)


def test_behind_tls_the_cookie_stays_there() -> None:
    async def visit(client: Client) -> str:
        headers = {"X-Forwarded-Proto": "https"}
        async with client.get("", params={"token": TOKEN}, headers=headers, allow_redirects=False) as answer:
            return answer.headers["Set-Cookie"]

    with served(token=TOKEN) as view:
        assert "Secure" in talk(view, visit)


def test_a_program_shows_the_token_in_a_header() -> None:
    async def ask(client: Client) -> int:
        async with client.get("metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            return answer.status

    with served(token=TOKEN) as view:
        assert talk(view, ask) == 200
        assert TOKEN not in view.address
        assert view.link.endswith(f"?token={TOKEN}")


def test_guessing_is_slowed_down() -> None:
    async def afterwards(client: Client) -> list[int]:
        status = []
        # Nothing at all, and an old cookie, are no guesses; a right guess is not told from a wrong one.
        for headers in (
            {},
            {"Cookie": f"realtime_kp_{port(view)}=old"},
            {"Authorization": f"Bearer {TOKEN}"},
        ):
            async with client.get("metrics", headers=headers) as answer:
                status.append(answer.status)
        cookie = {"Cookie": f"realtime_kp_{port(view)}={Access(TOKEN).cookie}"}
        async with client.get("metrics", headers=cookie) as answer:
            status.append(answer.status)
        return status

    async def only_guess(client: Client) -> list[int]:
        status = []
        for number in range(30):
            async with client.get("metrics", headers={"Authorization": f"Bearer guess-{number}"}) as answer:
                status.append(answer.status)
        return status

    with served(token=TOKEN) as view:
        assert talk(view, only_guess) == [401] * 20 + [429] * 10
        assert talk(view, afterwards) == [401, 401, 429, 200]


def test_old_cookies_lock_nobody_out() -> None:
    async def come_back(client: Client) -> int:
        for _ in range(60):
            async with client.get("control", headers={"Cookie": f"realtime_kp_{port(view)}=old"}) as answer:
                assert answer.status == 401
        async with client.get("", params={"token": TOKEN}) as answer:
            return int(answer.status)

    with served(token=TOKEN) as view:
        assert talk(view, come_back) == 200


def test_no_token_is_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    async def visit(client: Client) -> None:
        async with client.get("", params={"token": TOKEN}):
            pass
        async with client.get("page/x", params={"token": TOKEN}):
            pass

    with caplog.at_level(logging.DEBUG), served(token=TOKEN) as view:
        talk(view, visit)
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(capfd.readouterr())


@pytest.mark.parametrize("path", ["control", "picture", "tracks", "camera"])
def test_pages_of_other_sites_open_no_socket(path: str) -> None:
    async def connect(client: Client) -> None:
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port(view) + 1}"):
            with pytest.raises(WSServerHandshakeError) as caught:
                await client.ws_connect(path, headers={"Origin": origin})
            assert caught.value.status == 403
        own = f"http://127.0.0.1:{port(view)}"
        await (await client.ws_connect(path, headers={"Origin": own})).close()

    with served(camera=BrowserCamera()) as view:
        talk(view, connect)


def test_names_that_were_made_to_lead_here_are_not_served() -> None:
    async def ask(client: Client) -> list[int]:
        status = []
        for host in ("evil.example", f"evil.example:{port(view)}", "localhost", "[::1]:80"):
            async with client.get("", headers={"Host": host}) as answer:
                status.append(answer.status)
        return status

    with served() as view:
        assert talk(view, ask) == [403, 403, 200, 200]


def nonsense(number: int) -> Iterator[str | bytes]:
    chance = random.Random(number)
    while True:
        yield chance.choice(
            [
                "",
                "{",
                "null",
                '{"type":"key"}',
                '{"type":"click","x":1e999,"y":0}',
                '{"ack":"x"}',
                '{"type":"set","threshold":{}}',
                "[" * 2000,
                chance.randbytes(chance.randrange(200)),
                chance.randbytes(50).decode("latin-1"),
            ]
        )


def test_ten_thousand_malformed_messages() -> None:
    async def pester(client: Client) -> int:
        sent, messages = 0, nonsense(1)
        while sent < 10_000:
            for path in ("control", "picture", "tracks"):
                viewer = await client.ws_connect(path)
                try:
                    for _ in range(100):
                        message = next(messages)
                        sent += 1
                        await (viewer.send_bytes if isinstance(message, bytes) else viewer.send_str)(message)  # type: ignore[operator]
                except ConnectionError:
                    pass  # it was shown the door
                await viewer.close()
        return sent

    with served() as view, showing(view):
        assert talk(view, pester, 100) >= 10_000
        assert view.requests() == []
        assert alive(view)


def alive(view: ViewServer) -> bool:
    """Whether a new viewer gets frames at once."""

    async def watch(client: Client) -> bool:
        pictures = await client.ws_connect("picture?codec=jpeg")
        return (await pictures.receive(5)).type is WSMsgType.BINARY

    return talk(view, watch, 20)


def test_who_only_sends_nonsense_is_shown_the_door() -> None:
    async def pester(client: Client) -> tuple[int, int]:
        viewer = await client.ws_connect("tracks")
        for _ in range(20):
            await viewer.send_str("nonsense")
        while (message := await viewer.receive(10)).type is WSMsgType.TEXT:
            pass
        flood = await client.ws_connect("control")
        for _ in range(1000):
            await flood.send_json({"type": "ping", "sent": 1})
        while (other := await flood.receive(10)).type is WSMsgType.TEXT:
            pass
        return message.data, other.data

    with served() as view, showing(view):
        assert talk(view, pester) == (1008, 1008)


@pytest.mark.parametrize(
    ("path", "size"), [("control", 5000), ("picture", 5000), ("camera", limits.CAMERA_BYTES + 1)]
)
def test_a_message_that_is_too_large_ends_the_connection(path: str, size: int) -> None:
    async def send(client: Client) -> object:
        viewer = await client.ws_connect(path, max_msg_size=0)
        try:
            await viewer.send_bytes(bytes(size))
        except ConnectionError:
            return 1009  # it was closed before all was sent
        while (message := await viewer.receive(10)).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            pass
        return message.data if message.type is WSMsgType.CLOSE else 1009

    with served(camera=BrowserCamera()) as view:
        assert talk(view, send) == 1009
        assert view.requests() == []


def test_half_open_connections_and_broken_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_kp.serve.server.SILENT_S", 0.5)
    with served() as view, showing(view), ExitStack() as stack:
        silent = [stack.enter_context(connected(view)) for _ in range(60)]
        for number, one in enumerate(silent):
            one.sendall([b"", b"GET", b"GET / HTTP/1.1\r\nHost: 127", b"\x16\x03\x01\x02"][number % 4])
        assert alive(view)
        for one in silent:
            one.settimeout(5)
        # Those that said nothing whole are gone after a while.
        assert within(5, lambda: all(gone(one) for one in silent))
        for number in range(200):
            with connected(view) as broken:
                broken.sendall(random.Random(number).randbytes(300) + b"\r\n\r\n")
        assert alive(view)


def connected(view: ViewServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port(view)), 10)


def gone(one: socket.socket) -> bool:
    try:
        return one.recv(4096) == b""
    except ConnectionError:
        return True


def test_connections_are_bounded() -> None:
    with served() as view, ExitStack() as stack:
        held = [stack.enter_context(connected(view)) for _ in range(limits.MAX_CONNECTIONS + 40)]
        for one in held:
            one.settimeout(0.01)
        assert within(20, lambda: sum(map(gone_by_now, held)) >= 40)
        assert sum(map(gone_by_now, held)) <= 45


def gone_by_now(one: socket.socket) -> bool:
    try:
        return gone(one)
    except TimeoutError:
        return False


def test_who_asks_for_much_and_takes_nothing_is_ended() -> None:
    with served() as view, showing(view), ExitStack() as stack:
        request = b"GET /page/main.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        held = [stack.enter_context(connected(view)) for _ in range(40)]
        for one in held:
            one.settimeout(0.01)
            with suppress(OSError):
                one.sendall(request * 2000)
        assert within(20, lambda: alive(view))
        for one in held:
            one.settimeout(10)
        assert all(ends(one) for one in held)


def ends(one: socket.socket) -> bool:
    """Whether a connection is ended by the other side, whatever was sent before."""
    try:
        while one.recv(1 << 20):
            pass
    except ConnectionError:
        return True
    return True


def test_viewers_are_bounded() -> None:
    async def crowd(client: Client) -> None:
        viewers = [await client.ws_connect("tracks") for _ in range(limits.MAX_STREAMS)]
        with pytest.raises(WSServerHandshakeError) as caught:
            await client.ws_connect("tracks")
        assert caught.value.status == 503
        for viewer in viewers:
            await viewer.close()

    with served() as view, showing(view):
        talk(view, crowd)
        assert within(5, lambda: alive(view))


def test_a_camera_is_one_browsers_and_its_pictures_are_bounded() -> None:
    async def send(client: Client) -> None:
        first = await client.ws_connect("camera")
        with pytest.raises(WSServerHandshakeError) as caught:
            await client.ws_connect("camera")
        assert caught.value.status == 409
        with suppress(ConnectionError):
            for _ in range(500):
                await first.send_bytes(bytes(8) + b"\xff\xd8\xff\xe0" + bytes(1000))
        await first.receive(10)
        assert first.close_code == 1008
        await asyncio.sleep(0.1)
        second = await client.ws_connect("camera")
        await second.send_str("a picture, honestly")
        await second.receive(10)
        assert second.close_code == 1008

    camera = BrowserCamera()
    with served(camera=camera) as view:
        talk(view, send)
        assert camera.refused >= 301
        assert camera.take(0) is not None
        assert camera.take(0) is None


def test_where_the_source_is_another_there_is_no_camera() -> None:
    async def connect(client: Client) -> int:
        with pytest.raises(WSServerHandshakeError) as caught:
            await client.ws_connect("camera")
        return caught.value.status

    with served() as view:
        assert talk(view, connect) == 404
    with served(camera=BrowserCamera(), read_only=True) as view:
        assert talk(view, connect) == 403
