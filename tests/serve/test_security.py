"""Who gets in, and what happens to those who misbehave."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from realtime_kp.serve import ViewServer, limits
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
    async def guess(client: Client) -> list[int]:
        status = []
        for number in range(15):
            async with client.get("", params={"token": f"guess-{number}-guess"}) as answer:
                status.append(answer.status)
        async with client.get("metrics") as answer:
            status.append(answer.status)  # who shows nothing has not guessed
        async with client.get("metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            status.append(answer.status)  # who knows it is not kept out
        return status

    with served(token=TOKEN) as view:
        assert talk(view, guess) == [401] * 10 + [429] * 5 + [401, 200]


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


def test_viewers_are_bounded() -> None:
    async def crowd(client: Client) -> None:
        viewers = [await client.ws_connect("tracks") for _ in range(3 * limits.MAX_VIEWERS)]
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
        for _ in range(500):
            await first.send_bytes(bytes(8) + b"\xff\xd8\xff\xe0" + bytes(1000))
        await first.send_str("a picture, honestly")
        while (message := await first.receive(10)).type is not WSMsgType.CLOSE:
            pass
        assert message.data == 1008
        await asyncio.sleep(0.1)
        await (await client.ws_connect("camera")).close()

    camera = BrowserCamera()
    with served(camera=camera) as view:
        talk(view, send)
        assert camera.refused > 300
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
