"""The server as a client sees it: the page, streams, figures."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from aiohttp import WSMsgType
from prometheus_client.parser import text_string_to_metric_families

from realtime_kp.config import ServeConfig
from realtime_kp.errors import SinkError
from realtime_kp.serve import (
    Clicked,
    KeyPressed,
    LiveStatus,
    LiveView,
    PageSettings,
    SettingChanged,
    ViewServer,
    server,
)
from tests.conftest import within
from tests.serve.serving import Client, served, showing, talk, tracked_frame
from tests.serve.test_tracks_message import parsed


def test_the_page_is_whole() -> None:
    async def visit(client: Client) -> None:
        async with client.get("") as answer:
            assert answer.status == 200
            assert answer.content_type == "text/html"
            html = await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Server" not in answer.headers
        names = [part.split('"')[0] for part in html.split('"page/')[1:]]
        assert len(names) == 3
        while names:
            async with client.get(f"page/{names.pop()}") as answer:
                assert answer.status == 200
                text = await answer.text()
                if answer.content_type == "text/javascript":
                    names += [part.split('"')[0] for part in text.split('from "./')[1:]]
            # Everything comes from here.
            assert "http://" not in text.replace("http://www.w3.org", "")
            assert "https://" not in text

    with served() as view:
        talk(view, visit)


@pytest.mark.parametrize(
    "path",
    [
        "page/../server.py",
        "page/..%2fserver.py",
        "page/%2e%2e%2fserver.py",
        "page//etc/passwd",
        "page/%2fetc%2fpasswd",
        "page/",
        "page/__init__.py",
        "files/x",
        "files/..%2f..%2fetc%2fpasswd",
        "files/%00",
        "etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_of_the_disk_can_be_reached(path: str) -> None:
    with served() as view, socket.create_connection(("127.0.0.1", port(view)), 10) as raw:
        # As it is: a client would tidy the path up.
        raw.sendall(f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.split()[1] in (b"404", b"400")
    assert b"root:" not in answer
    assert b"import" not in answer


def port(view: ViewServer) -> int:
    return int(view.address.rsplit(":", 1)[1].strip("/"))


def test_video_is_decodable_and_in_step_with_its_tracks() -> None:
    async def watch(client: Client) -> None:
        pictures = await client.ws_connect("picture?codec=h264&variant=plain")
        tracks = await client.ws_connect("tracks?format=binary")
        decoder = av.CodecContext.create("h264", "r")
        seen, told = {}, {}
        for _ in range(20):
            message = (await pictures.receive(10)).data
            frame = int.from_bytes(message[8:16], "little")
            for decoded in decoder.decode(av.Packet(message[32:])):
                seen[frame] = decoded.to_ndarray(format="bgr24")
            header, columns = parsed((await tracks.receive(10)).data)
            told[header["frame"]] = columns["xy"]
        assert len(seen) == 20
        assert len(seen.keys() & told.keys()) >= 15
        for frame in seen.keys() & told.keys():
            expected = tracked_frame(frame)
            assert abs(seen[frame].astype(int) - expected.frame.image_bgr).mean() < 8
            np.testing.assert_array_equal(told[frame], expected.tracks.confirmed.xy)

    with served() as view, showing(view):
        talk(view, watch)


def test_tracks_as_json() -> None:
    async def watch(client: Client) -> None:
        tracks = await client.ws_connect("tracks")
        told = [json.loads((await tracks.receive(10)).data) for _ in range(5)]
        assert [one["frame"] for one in told] == sorted({one["frame"] for one in told})
        assert len(told[0]["tracks"]) == 49

    with served() as view, showing(view):
        talk(view, watch)


@pytest.mark.parametrize("variant", ["drawn", "plain"])
def test_any_img_shows_the_mjpeg(variant: str) -> None:
    async def watch(client: Client) -> None:
        async with client.get("stream.mjpg", params={"variant": variant}) as answer:
            assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace; boundary=")
            boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
            got = b""
            while got.count(b"--" + boundary) < 4:
                got += await answer.content.read(65536)
        assert got.startswith(b"--" + boundary + b"\r\n")
        part = got.split(b"--" + boundary)[2].removeprefix(b"\r\n")
        head, _, data = part.partition(b"\r\n\r\n")
        assert b"Content-Type: image/jpeg" in head
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        # The ground of the test's frames is darker than grey, that of its drawn ones lighter.
        assert (image.mean() > 128) == (variant == "drawn")

    with served() as view, showing(view):
        talk(view, watch)


def test_a_bad_choice_is_told() -> None:
    async def ask(client: Client) -> list[int]:
        status = []
        for path in (
            "picture?codec=av1",
            "tracks?format=xml",
            "stream.mjpg?variant=none",
            "picture",
            "control",
        ):
            async with client.get(path) as answer:
                status.append(answer.status)
        return status

    with served() as view:
        assert talk(view, ask) == [400, 400, 400, 426, 426]


def test_a_slow_viewer_skips_and_delays_nobody() -> None:
    async def watch(client: Client) -> tuple[int, list[float], float]:
        # This one reads nothing for a while, and then what little is on its way.
        slow = await client.ws_connect("picture?codec=jpeg&acks=1")
        video = await client.ws_connect("picture?codec=h264&acks=1")
        quick = await client.ws_connect("picture?codec=jpeg&acks=1")
        ages = []
        for _ in range(90):
            message = (await quick.receive(10)).data
            ages.append(time.perf_counter() - np.frombuffer(message, "<f8", 1, 16)[0])
            await quick.send_json({"ack": int.from_bytes(message[8:16], "little")})
        newest = int.from_bytes(message[8:16], "little")
        got = 0
        while True:
            message = (await slow.receive(10)).data
            got += 1
            frame = int.from_bytes(message[8:16], "little")
            await slow.send_json({"ack": frame})
            if frame > newest:
                break
        # After what was on its way, video goes on with a key frame.
        frame = -1
        while frame < newest - 10:
            message = (await video.receive(10)).data
            frame = int.from_bytes(message[8:16], "little")
            await video.send_json({"ack": frame})
        assert message[2] & 1
        async with client.get("metrics") as answer:
            metrics = samples(await answer.text())
        return got, ages, metrics['realtime_kp_skipped_total{stream="h264 plain"}']

    with served() as view, showing(view):
        got, ages, skipped = talk(view, watch)
    assert got < 30
    assert skipped > 30
    assert np.median(ages) < 1


def samples(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_many_viewers_at_once() -> None:
    async def one(client: Client) -> int:
        pictures = await client.ws_connect("picture?codec=h264&acks=1")
        tracks = await client.ws_connect("tracks?format=binary&acks=1")
        frames = []
        for _ in range(20):
            message = (await pictures.receive(20)).data
            frames.append(int.from_bytes(message[8:16], "little"))
            await pictures.send_json({"ack": frames[-1]})
            header, _ = parsed((await tracks.receive(20)).data)
            await tracks.send_json({"ack": header["frame"]})
        assert frames == sorted(frames)
        return frames[-1] - frames[0]

    async def all_of_them(client: Client) -> list[int]:
        return await asyncio.gather(*(one(client) for _ in range(12)))

    with served() as view, showing(view):
        assert len(talk(view, all_of_them)) == 12


def test_one_viewer_holds_the_controls() -> None:
    async def use(client: Client) -> None:
        first, second = await client.ws_connect("control"), await client.ws_connect("control")
        assert await told(first, "control", holder="you", viewers=2)
        assert await told(second, "control", holder="other")
        await second.send_json({"type": "key", "key": "k"})
        assert "do not hold" in (await told(second, "error"))["reason"]
        await second.send_json({"type": "take"})
        assert await told(second, "control", holder="other")
        await first.send_json({"type": "key", "key": " "})
        await first.send_json({"type": "click", "x": 3.5, "y": 4, "frame": 2})
        await first.send_json({"type": "set", "max_keypoints": 64})
        await first.send_json({"type": "release"})
        assert await told(second, "control", holder="nobody")
        await second.send_json({"type": "take"})
        assert await told(second, "control", holder="you")
        await second.send_json({"type": "key", "key": "s"})
        assert await told(first, "control", holder="other")
        await second.close()
        assert await told(first, "control", holder="nobody", viewers=1)

    with served() as view:
        talk(view, use)
        assert view.requests() == [
            SettingChanged(max_keypoints=64),
            KeyPressed(" "),
            Clicked(3.5, 4.0, frame=2),
            KeyPressed("s"),
        ]
        assert view.requests() == []


def test_a_slider_is_where_it_was_left_and_keys_come_no_faster_than_a_person_presses() -> None:
    async def use(client: Client) -> None:
        viewer = await client.ws_connect("control")
        assert await told(viewer, "control", holder="you")
        for number in range(100):
            await viewer.send_json({"type": "set", "threshold": number / 1000})
        for _ in range(60):
            await viewer.send_json({"type": "key", "key": "k"})
        assert "too much" in str((await told(viewer, "error"))["reason"])
        await viewer.send_json({"type": "ping", "sent": 1})
        await told(viewer, "pong")

    with served() as view:
        talk(view, use)
        settings, *keys = view.requests()
    assert settings == SettingChanged(threshold=0.099)
    assert set(keys) == {KeyPressed("k")}
    assert len(keys) < 45


async def told(connection: object, kind: str, **values: object) -> dict[str, object]:
    """The next message of a kind that says so."""
    for _ in range(100):
        message = await connection.receive(10)  # type: ignore[attr-defined]
        assert message.type is WSMsgType.TEXT, message
        found = json.loads(message.data)
        if found["type"] == kind and all(found[name] == value for name, value in values.items()):
            return dict(found)
    raise AssertionError(f"no {kind} with {values}")


def test_who_only_may_watch_controls_nothing() -> None:
    async def use(client: Client) -> None:
        viewer = await client.ws_connect("control")
        assert await told(viewer, "control", holder="nobody", read_only=True)
        await viewer.send_json({"type": "take"})
        await viewer.send_json({"type": "key", "key": "v"})
        assert await told(viewer, "error")

    with served(read_only=True) as view, showing(view):
        talk(view, use)
        assert view.requests() == []


def test_what_the_page_is_told() -> None:
    async def use(client: Client) -> None:
        viewer = await client.ws_connect("control")
        hello = await told(viewer, "hello")
        assert (hello["source"], hello["mirror"], hello["camera"]) == ("walk.mp4", True, False)
        status = await told(viewer, "status", phase="running")
        assert status["figures"]["tracks"] == 0  # type: ignore[index]
        before_s = time.perf_counter()
        await viewer.send_json({"type": "ping", "sent": 12.5})
        pong = await told(viewer, "pong")
        assert pong["sent"] == 12.5
        assert before_s < float(str(pong["server_s"])) < time.perf_counter()

    with served(settings=PageSettings("walk.mp4", mirror=True)) as view, showing(view):
        talk(view, use)


def test_health_and_metrics() -> None:
    async def look(client: Client) -> tuple[int, dict[str, str], dict[str, float]]:
        async with client.get("health") as answer:
            status, health = answer.status, await answer.json()
        async with client.get("metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return status, health, samples(await answer.text())

    with served() as view:
        status, health, metrics = talk(view, look)
        assert (status, health["reason"]) == (503, "loading the network")
        assert metrics["realtime_kp_source_up"] == 0
        with showing(view):
            assert within(5, lambda: talk(view, look)[0] == 200)
            status, health, metrics = talk(view, look)
        assert (status, health) == (200, {"status": "ok"})
        assert metrics["realtime_kp_source_up"] == 1
        assert metrics['realtime_kp_frames_total{state="read"}'] == 0
        view.tell(LiveStatus(phase="lost", reason="source lost 3 s ago, trying again"))
        assert within(5, lambda: talk(view, look)[0] == 503)
        assert talk(view, look)[1]["reason"] == "source lost 3 s ago, trying again"


def test_frames_that_stop_coming_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def health(client: Client) -> tuple[int, str]:
        async with client.get("health") as answer:
            return answer.status, await answer.text()

    monkeypatch.setattr("realtime_kp.serve.hub._SILENT_S", 0.2)
    with served() as view:
        view.tell(LiveStatus(phase="running", reason=""))
        view.show(LiveView(tracked_frame(0)))
        assert within(5, lambda: "no frame for" in talk(view, health)[1])
        view.tell(LiveStatus(phase="running", reason="", still=True))
        assert within(5, lambda: talk(view, health)[0] == 200)


def test_files_of_this_run_can_be_fetched_and_no_others(tmp_path: Path) -> None:
    made, other = tmp_path / 'rec"ord é.mp4', tmp_path / "secret.txt"
    made.write_bytes(b"video")
    other.write_text("secret")

    async def fetch(client: Client) -> None:
        viewer = await client.ws_connect("control")
        view.offer(made)
        for _ in range(10):
            files = (await told(viewer, "files"))["files"]
            if files:
                break
        (file,) = files  # type: ignore[misc]
        assert file["name"] == made.name
        async with client.get(file["url"]) as answer:
            assert await answer.read() == b"video"
            assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        made.unlink()
        async with client.get(file["url"]) as answer:
            assert answer.status == 404

    with served() as view:
        talk(view, fetch)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(
            SinkError, match=f"cannot serve at 127.0.0.1:{number} .*choose another address or port"
        ):
            ViewServer(ServeConfig(address=str(number)), PageSettings("test")).__enter__()


def test_an_address_that_is_not_of_this_machine_is_told() -> None:
    config = ServeConfig(address="192.0.2.1:0", token="correct-horse")
    with pytest.raises(SinkError, match=r"cannot serve at 192\.0\.2\.1:0"):
        ViewServer(config, PageSettings("test")).__enter__()


def test_the_end_of_the_run_ends_every_connection() -> None:
    ended: list[int] = []

    async def watch(client: Client) -> None:
        sockets = [await client.ws_connect(path) for path in ("control", "picture", "tracks")]
        async with client.get("stream.mjpg") as mjpeg:
            ready.set()
            for one in sockets:
                while (message := await one.receive(20)).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    pass
                ended.append(message.data)
            async for _ in mjpeg.content.iter_any():
                pass

    ready = threading.Event()
    with served() as view, showing(view):
        thread = threading.Thread(target=talk, args=(view, watch))
        thread.start()
        assert ready.wait(10)
        started_s = time.perf_counter()
    assert time.perf_counter() - started_s < 5
    thread.join(10)
    assert not thread.is_alive()
    assert ended == [1001, 1001, 1001]


def test_whoever_shows_frames_never_waits() -> None:
    with served() as view:
        stalled = threading.Event()
        view._call(lambda: stalled.wait(3))
        frames = [LiveView(tracked_frame(index)) for index in range(50)]
        started_s = time.perf_counter()
        for frame in frames:
            view.show(frame)
            view.tell(LiveStatus())
        assert time.perf_counter() - started_s < 1
        stalled.set()


def test_loading_the_room_loads_no_server_library() -> None:
    libraries = "{'aiohttp', 'prometheus_client'}"
    code = f"import realtime_kp.serve, sys; sys.exit(', '.join({libraries} & set(sys.modules)) or 0)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime_kp.errors import ConfigError

    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"--serve needs aiohttp: pip install 'realtime-kp\[web\]'"):
        server.check_web()
