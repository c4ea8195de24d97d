"""`live --serve` and `live browser`, through the whole command, with a client that is no browser."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.live_page import LivePage
from realtime_kp.cli import main
from realtime_kp.sources.demo import DemoSpec
from tests.browser import LIGHT, live
from tests.conftest import child_environment
from tests.serve.serving import Client, talk_to


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["live", "demo", "--serve", "0.0.0.0:0"], "give --token SECRET, or --token auto"),
        (["live", "demo", "--serve", "robot"], "[HOST:]PORT"),
        (["live", "demo", "--serve", "70000"], "[HOST:]PORT"),
        (["live", "demo", "--serve", "0", "--token", "short"], "12 or more"),
        (["live", "demo", "--serve", "0", "--token", "with space 123"], "without spaces"),
        (["live", "browser"], "it needs --serve PORT"),
        (["live", "browser", "--serve", "0", "--read-only"], "not --read-only"),
        (["video", "browser"], "live browser --serve PORT"),
        (["bench", "browser", "--frames", "5"], "live browser --serve PORT"),
    ],
)
def test_what_cannot_be_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--no-window"] if words[0] == "live" else words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "short" not in error
    assert "with space" not in error


def test_nothing_of_it_is_loaded_where_nothing_is_served(tmp_path: Path) -> None:
    rooms = ("aiohttp", "prometheus_client", "realtime_kp.serve", "realtime_kp.apps.live.viewers")
    words = ["live", "demo?size=64x48&frames=3", "--no-window", "--model", "small", "--resize", "64", "-q"]
    code = (
        f"import sys; from realtime_kp.cli import main; main({words}); "
        f"sys.exit(', '.join(name for name in sys.modules if name.startswith({rooms})) or 0)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert found.returncode == 0, found.stderr


async def status_of(client: Client, phase: str) -> dict[str, object]:
    control = await client.ws_connect("control")
    while True:
        message = json.loads((await control.receive(60)).data)
        if message["type"] == "status" and message["phase"] == phase:
            return dict(message)


@pytest.mark.slow
def test_a_token_from_the_environment_is_not_told(tmp_path: Path) -> None:
    environment = child_environment(REALTIME_KP_TOKEN="secret-of-the-lab")
    words = ["demo?size=64x48", "--serve", "0", *LIGHT]

    async def knock(client: Client) -> list[int]:
        status = []
        for headers in ({}, {"Authorization": "Bearer secret-of-the-lab"}):
            async with client.get("metrics", headers=headers) as answer:
                status.append(answer.status)
        return status

    with LivePage(tmp_path, words, environment) as running:
        assert "secret" not in running.link
        assert talk_to(running.address, knock) == [401, 200]
        assert running.stop() == 130
    assert "secret" not in "".join(running.told)


@pytest.mark.slow
def test_a_still_picture_stays(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), DemoSpec.parse("demo?size=160x120").scene().render(0))

    async def watch(client: Client) -> None:
        status = await status_of(client, "running")
        assert status["figures"]["processed"] == 1  # type: ignore[index]
        time.sleep(1)
        tracks = await client.ws_connect("tracks")
        assert json.loads((await tracks.receive(5)).data)["frame"] == 0
        pictures = await client.ws_connect("picture?codec=jpeg")
        assert (await pictures.receive(5)).data[2] & 1

    with live(tmp_path, str(path), "--serve", "0") as running:
        talk_to(running.address, watch)
        assert running.stop() == 130


@pytest.mark.slow
def test_a_visitors_camera_is_tracked(tmp_path: Path) -> None:
    spec = "demo?size=320x240"
    scene = DemoSpec.parse(spec).scene()

    async def send(client: Client) -> dict[int, list[dict[str, float]]]:
        assert (await status_of(client, "loading"))["reason"] == "waiting for pictures of a browser's camera"
        camera = await client.ws_connect("camera")
        tracks = await client.ws_connect("tracks")
        seen: dict[int, list[dict[str, float]]] = {}
        index = 0
        while len(seen) < 60:
            _, coded = cv2.imencode(".jpg", scene.render(index), (cv2.IMWRITE_JPEG_QUALITY, 95))
            await camera.send_bytes(struct.pack("<d", time.perf_counter()) + coded.tobytes())
            try:
                message = json.loads((await tracks.receive(20 if index else 1)).data)
            except TimeoutError:
                continue  # while the network is loaded frames are discarded
            seen[message["frame"]] = message["tracks"]
            index += 1
        return seen

    with live(tmp_path, "browser", "--serve", "0") as running:
        seen = talk_to(running.address, send)
        assert running.stop() == 130
    # From the first one that was not discarded on, frame k of the run is picture k.
    first = {row["id"]: (row["x"], row["y"]) for row in seen[30]}
    last = {row["id"]: (row["x"], row["y"]) for row in seen[50]}
    both = sorted(first.keys() & last.keys())
    assert len(both) > 20
    start = np.array([first[number] for number in both], np.float32)
    truth, visible = scene.truth(30, 50, start)
    gaps = np.linalg.norm(truth - [last[number] for number in both], axis=1)[visible]
    assert np.median(gaps) < 1.5


@pytest.mark.slow
def test_a_source_that_ends_ends_the_server(tmp_path: Path) -> None:
    with live(tmp_path, "demo?size=64x48&frames=10", "--serve", "0") as running:
        assert running.wait(60) == 0
