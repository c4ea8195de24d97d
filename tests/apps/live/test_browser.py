"""The real command, its page in a real browser: it is looked at, clicked on and driven."""

from __future__ import annotations

import base64
import csv
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.live_page import LivePage
from realtime_kp.sources.demo import DemoSpec
from tests.browser import Browser, a_browser, live
from tests.conftest import write_clip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SOURCE = "demo?seed=3"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as found:
        yield found


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[LivePage]:
    """The page of a live run, open in the browser, with frames coming."""
    with live(tmp_path, SOURCE, "--serve", "0") as running:
        browser.open(running.link)
        browser.wait_for_frames()
        yield running
        assert not browser.complaints
        browser.open("about:blank")


def canvas_of(browser: Browser) -> np.ndarray:
    """The picture canvas as it is, BGR."""
    text = browser.ask("document.getElementById('picture').toDataURL('image/png').slice(22)")
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)


def test_the_page_shows_frames_with_their_tracks(browser: Browser, page: LivePage) -> None:
    assert browser.ask("page.codec") == "h264"
    assert browser.ask("document.title") == f"{SOURCE} \N{EN DASH} realtime-kp"
    browser.press(" ")
    browser.wait("page.status.paused && screen.tracks.frame === screen.shown.frame")
    time.sleep(0.5)  # frames that were on their way
    frame = browser.ask("screen.shown.frame")
    expected = DemoSpec.parse(SOURCE).scene().render(frame)
    assert abs(canvas_of(browser).astype(int) - expected).mean() < 6
    assert browser.ask("screen.tracks.ids.length") > 50
    drawn = browser.ask(
        "(() => { const c = document.getElementById('overlay'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; let n = 0;"
        " for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()"
    )
    assert drawn > 1000
    assert re.search(r"[\d.]+ FPS", browser.ask("document.getElementById('figures').textContent") + " FPS")
    browser.press(".")
    browser.wait(f"screen.shown.frame > {frame}")
    browser.press(" ")
    browser.wait_for_frames(20)


def test_a_click_makes_a_track_that_follows_the_truth(browser: Browser, page: LivePage) -> None:
    browser.press(" ")
    browser.wait("page.status.paused")
    time.sleep(0.5)
    # Of the tracks in the middle the oldest is on something that can be followed for long.
    start = browser.ask(
        "(() => { const t = screen.tracks; let best = -1; for (let i = 0; i < t.ids.length; i++) {"
        " const [x, y] = [t.xy[2 * i], t.xy[2 * i + 1]];"
        " if (t.seen[i] && Math.abs(x - 320) < 150 && Math.abs(y - 240) < 110"
        " && (best < 0 || t.length[i] > t.length[best])) best = i; }"
        " return [t.frame, t.xy[2 * best], t.xy[2 * best + 1]]; })()"
    )
    frame, x, y = start
    assert browser.ask("screen.shown.frame") == frame
    browser.ask("(window.clicked = [], 0)")
    browser.ask(
        "document.getElementById('stage').addEventListener('pointerdown', (e) => {"
        " const b = e.currentTarget.getBoundingClientRect();"
        " window.clicked.push(screen.toSource(e.clientX - b.left, e.clientY - b.top)); }, {once: true})"
    )
    browser.click(x, y)
    browser.wait("page.status.notes.some((note) => note.startsWith('point at'))")
    ((x, y),) = browser.ask("window.clicked")
    browser.press(" ")
    browser.wait("Object.keys(screen.tracks.labels).length === 1")
    browser.ask(
        "(window.followed = [], setInterval(() => { const t = screen.tracks;"
        " const id = Object.keys(t.labels)[0]; const i = t.ids.indexOf(Number(id)); if (i >= 0 && t.seen[i])"
        " window.followed.push([t.frame, t.xy[2 * i], t.xy[2 * i + 1]]); }, 30), 0)"
    )
    browser.wait("window.followed.length > 60")
    scene = DemoSpec.parse(SOURCE).scene()
    gaps = []
    for later, *xy in browser.ask("window.followed"):
        truth, visible = scene.truth(frame, int(later), np.array([[x, y]], np.float32))
        if visible[0]:
            gaps.append(float(np.hypot(*(truth[0] - xy))))
    assert len(gaps) > 30
    assert np.median(gaps) < 1
    assert np.percentile(gaps, 95) < 2
    # The right button gives it up.
    browser.press(" ")
    browser.wait("page.status.paused")
    time.sleep(0.5)
    spot = browser.ask(
        "(() => { const t = screen.tracks; const i = t.ids.indexOf(Number(Object.keys(t.labels)[0]));"
        " return [t.xy[2 * i], t.xy[2 * i + 1]]; })()"
    )
    browser.right_click(*spot)
    browser.wait("page.status.notes.some((note) => note.endsWith('removed'))")
    browser.press(" ")
    browser.wait("Object.keys(screen.tracks.labels).length === 0")


def test_a_drag_makes_a_region(browser: Browser, page: LivePage) -> None:
    browser.drag(200, 120, 440, 360)
    browser.wait("page.status.regions.length === 1")
    left, top, width, height = browser.ask("page.status.regions[0]")
    np.testing.assert_allclose([left, top, width, height], [200, 120, 240, 240], atol=3)
    inside = f"Array.from(screen.tracks.ids, (_, i) => i).every((i) => screen.tracks.xy[2 * i] >= {left - 2}"
    browser.wait(
        f"screen.tracks.ids.length > 5 && {inside} && screen.tracks.xy[2 * i] <= {left + width + 2}"
        f" && screen.tracks.xy[2 * i + 1] >= {top - 2} && screen.tracks.xy[2 * i + 1] <= {top + height + 2})"
    )
    browser.press("c")
    browser.wait("page.status.regions.length === 0")


def test_hovering_tells_of_a_track(browser: Browser, page: LivePage) -> None:
    browser.press(" ")
    browser.wait("page.status.paused")
    time.sleep(0.5)
    number, x, y, length = browser.ask(
        "[screen.tracks.ids[3], screen.tracks.xy[6], screen.tracks.xy[7], screen.tracks.length[3]]"
    )
    browser.hover(x, y)
    browser.wait("!document.getElementById('hover').hidden")
    text = browser.ask("document.getElementById('hover').textContent")
    # Another one may be nearer to the whole pixel that the mouse is on.
    told = re.match(r"id (\d+) +age (\d+) +\N{GREEK SMALL LETTER SIGMA} ([\d.]+ px|\N{EN DASH})", text)
    assert told, text
    if int(told[1]) == number:
        assert int(told[2]) == length
    browser.hover(x + 200 if x < 320 else x - 200, 2)


def test_sliders_and_layers(browser: Browser, page: LivePage) -> None:
    def slide(name: str, value: int) -> None:
        browser.driver.execute_script(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            " e.dispatchEvent(new Event('input', {bubbles: true}));",
            name,
            value,
        )

    slide("keypoints", 20)
    browser.wait("page.status.max_keypoints === 20")
    browser.wait("page.status.figures.keypoints !== null && page.status.figures.keypoints <= 20")
    slide("threshold", 900)
    browser.wait("page.status.threshold > 0.3")
    slide("trail", 0)
    assert browser.ask("page.trailLength") == 0
    for key, layer in (("t", "tracks"), ("k", "keypoints"), ("i", "hud")):
        assert browser.ask(f"page.layers.has('{layer}')")
        browser.press(key)
        assert not browser.ask(f"page.layers.has('{layer}')")
    browser.press("k")
    browser.wait("screen.tracks && screen.tracks.keypoint_xy !== undefined")


def test_snapshot_and_recording_are_made_and_fetched(browser: Browser, page: LivePage) -> None:
    browser.press("s")
    browser.wait("document.querySelectorAll('#files a').length === 2")
    browser.press_button("[data-key='v']")
    browser.wait("page.status.recording")
    browser.wait_for_frames(15)
    browser.press_button("[data-key='v']")
    browser.wait("document.querySelectorAll('#files a').length === 3")
    names = browser.ask("Array.from(document.querySelectorAll('#files a'), (a) => a.textContent)")
    assert sorted(Path(name).suffix for name in names) == [".csv", ".mp4", ".png"]
    for name in names:
        fetched = browser.driver.execute_async_script(
            "const done = arguments[1]; const link = Array.from(document.querySelectorAll('#files a'))"
            ".find((a) => a.textContent === arguments[0]); fetch(link.href).then((r) => r.arrayBuffer())"
            ".then((b) => done(Array.from(new Uint8Array(b).slice(0, 20))));",
            name,
        )
        assert bytes(fetched) == (page.folder / name).read_bytes()[:20]
    (video,) = page.folder.glob("*.mp4")
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) >= 10


def test_the_pictures_of_other_codecs_and_the_servers_drawing(browser: Browser, page: LivePage) -> None:
    browser.open(f"{page.address}?codec=jpeg")
    browser.wait_for_frames()
    assert browser.ask("page.codec") == "jpeg"
    browser.press_button("#drawn")
    browser.wait("page.drawn")
    browser.wait_for_frames(10)
    # Its layers are those of the window, for all.
    browser.press("t")
    browser.wait("!page.status.layers.includes('tracks')")
    # The stream for any <img>.
    browser.ask("(window.img = new Image(), img.src = 'stream.mjpg', document.body.append(img), 0)")
    browser.wait("img.naturalWidth === 640")


def test_a_second_viewer_takes_the_controls_when_they_are_free(browser: Browser, page: LivePage) -> None:
    first = browser.driver.current_window_handle
    assert browser.ask("page.holder") == "you"
    browser.driver.switch_to.new_window("tab")
    try:
        browser.open(page.address)
        browser.wait_for_frames()
        browser.wait("page.holder === 'other' && page.viewers === 2")
        browser.press(" ")
        browser.drag(100, 100, 300, 300)
        browser.wait_for_frames(10)
        assert not browser.ask("page.status.paused")
        assert browser.ask("page.status.regions") == []
        browser.driver.switch_to.window(first)
        browser.press_button("#release")
        browser.driver.switch_to.window(browser.driver.window_handles[-1])
        browser.wait("page.holder === 'nobody'")
        browser.press_button("#take")
        browser.wait("page.holder === 'you'")
        browser.press("m")
        browser.wait("page.status.everywhere")
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(first)


def test_a_restarted_server_is_found_again(browser: Browser, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    words = (SOURCE, "--serve", str(number), "--token", "correct-horse-battery")
    with live(tmp_path, *words) as running:
        browser.open(f"{running.address}?token=correct-horse-battery")
        browser.wait_for_frames()
        assert browser.ask("location.href") == running.address
        assert running.stop() == 130
        browser.wait("!page.online")
        assert "the run has ended" in browser.ask("document.getElementById('banner').textContent")
    with live(tmp_path, *words):
        browser.wait("page.online", 60)
        browser.ask("(screen.shown = null, 0)")
        browser.wait_for_frames()
        browser.wait("page.holder === 'you' && document.getElementById('banner').hidden")
        # The clock of another process is another one.
        browser.wait("paints.recent.length > 0 && Math.abs(paints.recent.at(-1).latencyMs) < 5000")


def test_the_wrong_token_shows_nothing(browser: Browser, tmp_path: Path) -> None:
    with live(tmp_path, SOURCE, "--serve", "0", "--token", "auto") as running:
        assert len(running.link) > len(running.address) + 30
        browser.driver.delete_all_cookies()
        for address in (running.address, f"{running.address}?token=wrong-token-wrong"):
            browser.open(address)
            assert "locked" in browser.ask("document.body.textContent")
            assert browser.ask("window.realtimeKp") is None
            assert browser.ask("document.querySelectorAll('canvas, img').length") == 0
        browser.open(running.link)
        browser.wait_for_frames()


class Throttle:
    """Passes connections to a server on, so many bytes a second towards the client."""

    def __init__(self, port: int, bytes_per_s: float) -> None:
        self._target = ("127.0.0.1", port)
        self._rate = bytes_per_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._stack = ExitStack()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, body: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=body, args=arguments, daemon=True))
        self._threads[-1].start()

    def close(self) -> None:
        _close(self._listener)
        self._stack.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            for one in (near, far):
                self._stack.callback(_close, one)
            self._start(self._pump, near, far, 0)
            self._start(self._pump, far, near, self._rate)

    def _pump(self, source: socket.socket, target: socket.socket, rate: float) -> None:
        try:
            while data := source.recv(2048):
                target.sendall(data)
                if rate:
                    time.sleep(len(data) / rate)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def _close(one: socket.socket) -> None:
    """Close a socket that another thread may wait for."""
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def test_a_slow_connection_skips_frames_and_stays_near_now(browser: Browser, page: LivePage) -> None:
    number = int(page.address.rsplit(":", 1)[1].strip("/"))
    throttle = Throttle(number, 60_000)
    first = browser.driver.current_window_handle
    try:
        browser.driver.switch_to.new_window("tab")
        browser.open(f"http://127.0.0.1:{throttle.port}/?codec=jpeg")
        browser.wait_for_frames(100)
        browser.ask("(window.seen = [], setInterval(() => window.seen.push(screen.shown.frame), 20), 0)")
        browser.ask("(paints.recent = [], 0)")
        browser.wait_for_frames(100)
        seen = sorted(set(browser.ask("window.seen")))
        assert len(seen) < 0.7 * (seen[-1] - seen[0])
        # Little is on its way at a time, so that what arrives is not old.
        assert browser.ask("paints.percentile(0.5)") < 3000
        browser.driver.close()
        browser.driver.switch_to.window(first)
        # The quick one beside it has not waited.
        browser.wait_for_frames(10)
        assert browser.ask("paints.percentile(0.5)") < 1000
    finally:
        throttle.close()
        browser.driver.switch_to.window(first)


HELD_BACK = """
const Real = window.VideoDecoder;
window.VideoDecoder = class extends Real {
  constructor({ output, error }) {
    const held = [];
    super({ output: (frame) => { held.push(frame); if (held.length > %d) output(held.shift()); }, error });
  }
};
"""


@pytest.mark.parametrize(("held_back", "codec"), [(3, "h264"), (10**6, "jpeg")])
def test_a_decoder_that_holds_pictures_back_or_gives_none(
    browser: Browser, page: LivePage, held_back: int, codec: str
) -> None:
    script = {"source": HELD_BACK % held_back}
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)
    try:
        browser.open(page.address)
        browser.wait_for_frames(40)
        assert browser.ask("page.codec") == codec
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_keys_that_do_nothing_and_are_held_cost_nothing(browser: Browser, page: LivePage) -> None:
    for _ in range(50):
        browser.press("x")
    browser.driver.execute_script(
        "for (let i = 0; i < 30; i++) document.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: ' ', bubbles: true, repeat: i > 0}));"
    )
    browser.wait("page.status.paused")
    assert browser.ask("page.online && page.holder === 'you'")


def test_a_phone(browser: Browser, page: LivePage) -> None:
    with a_browser() as phone:
        phone.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": True},
        )
        phone.open(page.address)
        phone.wait_for_frames()
        assert phone.ask("innerWidth") == 390
        assert phone.ask("document.documentElement.scrollWidth") <= 390
        assert phone.ask("document.getElementById('overlay').width") == 3 * phone.ask(
            "screen && stage.clientWidth"
        )
        small = phone.ask(
            "Array.from(document.querySelectorAll('button'), (b) => b.getBoundingClientRect())"
            ".filter((b) => b.width > 0 && (b.height < 44 || b.right > 390)).length"
        )
        assert small == 0


def test_a_browser_is_the_camera(tmp_path: Path) -> None:
    scene = DemoSpec.parse("demo?size=320x240").scene()
    clip = write_clip(
        tmp_path / "camera.mjpeg",
        [scene.render(index) for index in range(60)],
        codec="mjpeg",
        options={"qscale": "3"},
    )
    flags = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    )
    with (
        live(tmp_path, "browser", "--serve", "0", "--tracks", "t.csv") as running,
        a_browser(*flags) as visitor,
    ):
        visitor.open(running.link)
        visitor.wait("page.holder === 'you'")
        assert "camera" in visitor.ask("document.getElementById('banner').textContent")
        visitor.press_button("#camera")
        visitor.wait_for_frames(60)
        visitor.wait("screen.tracks.ids.length > 10 && document.getElementById('banner').hidden")
        assert not visitor.complaints
        # Whoever gives the controls up can still switch the own camera off.
        visitor.ask("(document.getElementById('release').click(), 0)")
        visitor.wait("page.holder === 'nobody'")
        visitor.press_button("#camera")
        visitor.wait("page.camera === null")
        visitor.press_button("#take")
        visitor.wait("page.holder === 'you'")
        visitor.press_button("#camera")
        visitor.wait("page.camera !== null && page.status.phase === 'running'")
        visitor.wait_for_frames(10)
        visitor.press_button("#camera")
        visitor.wait("page.status.phase === 'lost'")
        assert "camera" in visitor.ask("page.status.reason")
        # Pressed again before the camera is there, it is off in the end, and nothing is left running.
        visitor.ask(
            "(document.getElementById('camera').click(), document.getElementById('camera').click(), 0)"
        )
        time.sleep(2)
        assert visitor.ask("page.camera === null && page.status.phase") == "lost"
        visitor.press_button("#camera")
        visitor.wait("page.status.phase === 'running'")
        visitor.wait_for_frames(10)
        assert running.stop() == 130
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 500
    times_s = [float(row["time_s"]) for row in rows]
    assert times_s == sorted(times_s)


def test_grab_to_paint_is_measured_on_the_picture_itself(browser: Browser, page: LivePage) -> None:
    browser.open(f"{page.address}?marked=1")
    browser.wait_for_frames(60)
    marks = browser.ask("screen.marks")
    assert len(marks) > 40
    assert all(mark["read"] == mark["expected"] for mark in marks)
    assert 0 < browser.ask("paints.percentile(0.5)") < 2000
