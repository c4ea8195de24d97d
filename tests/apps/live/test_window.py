"""The real command in a real window on a virtual screen: keys are sent, the screen is looked at."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ImageGrab
from Xlib.display import Display
from Xlib.protocol.event import ClientMessage

from tests.conftest import child_environment, within

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="virtual screens are X11's"),
]


@dataclass
class Screen:
    """A virtual screen, and the command that runs on it."""

    display: str
    folder: Path
    command: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> None:
        environment = child_environment(DISPLAY=self.display)
        environment.pop("WAYLAND_DISPLAY", None)
        words = [sys.executable, "-m", "realtime_kp", "live", *arguments]
        self.command = subprocess.Popen(
            words, cwd=self.folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tool(self, *arguments: str) -> str:
        environment = child_environment(DISPLAY=self.display)
        return subprocess.run(
            ["xdotool", *arguments], env=environment, capture_output=True, text=True, timeout=10, check=False
        ).stdout.strip()

    @property
    def window(self) -> str:
        return self.tool("search", "--name", "^realtime-kp$").splitlines()[-1]

    def press(self, *keys: str) -> None:
        self.tool("windowfocus", "--sync", self.window)
        # OpenCV remembers one key from one look at the window to the next: nobody types faster than that.
        self.tool("key", "--delay", "400", *keys)

    def map_again(self) -> None:
        """What a window manager does when a window is put away and brought back."""
        self.tool("windowunmap", "--sync", self.window)
        self.tool("windowmap", "--sync", self.window)

    def close_window(self) -> None:
        """What a window manager does when the X is clicked."""
        connection = Display(self.display)
        try:
            window = connection.create_resource_object("window", int(self.window))
            protocols, delete = (connection.intern_atom(f"WM_{n}") for n in ("PROTOCOLS", "DELETE_WINDOW"))
            window.send_event(
                ClientMessage(window=window, client_type=protocols, data=(32, [delete, 0, 0, 0, 0]))
            )
            connection.sync()
        finally:
            connection.close()

    def look(self) -> np.ndarray:
        return np.asarray(ImageGrab.grab(xdisplay=self.display).convert("RGB")).astype(int)

    def shows_picture(self) -> bool:
        return saturation(self.look()) > 10

    def finish(self, timeout_s: float = 20) -> tuple[int, str]:
        assert self.command is not None
        _, errors = self.command.communicate(timeout=timeout_s)
        return self.command.returncode, errors


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    for program in ("Xvfb", "xdotool"):
        assert shutil.which(program), f"{program} is missing: the README's test command installs it"
    reading, writing = _pipe()
    # Without -noreset the server starts anew, and turns clients away, whenever the last one has left.
    options = ["-noreset", "-nolisten", "tcp", "-screen", "0", "1280x800x24"]
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), *options],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    try:
        with open(reading) as numbers:
            found = Screen(f":{numbers.readline().strip()}", tmp_path)
        yield found
        if found.command is not None and found.command.poll() is None:
            found.command.kill()
            found.command.communicate()
    finally:
        server.terminate()
        server.wait(10)


def _pipe() -> tuple[int, int]:
    import os

    return os.pipe()


def saturation(image: np.ndarray) -> float:
    picture = image[:480, :640]
    return float((picture.max(axis=2) - picture.min(axis=2)).mean())


def darkness(panel: np.ndarray) -> float:
    """Share of pixels as dark as panels are: at most 40 % of white."""
    return float((panel.max(axis=2) <= 102).mean())


def repainted(image: np.ndarray, other: np.ndarray) -> int:
    """How many pixels between the panels differ by more than the scene's noise."""
    return int((np.abs(image - other)[110:370, :640].max(axis=2) > 50).sum())


def started(screen: Screen, *arguments: str) -> None:
    screen.start("demo?motion=still", "--resize", "320", *arguments)
    if not within(15, screen.shows_picture):
        # Without a window manager Qt now and then misses its first exposure; one would send it another.
        screen.map_again()
    assert within(25, screen.shows_picture), "no picture on the screen"


def test_the_window_shows_tracks_and_obeys_its_keys(screen: Screen) -> None:
    started(screen, "--summary", "s.json")
    hud, help_panel = (slice(0, 60), slice(0, 150)), (slice(380, 480), slice(0, 150))
    for key, panel in (("i", hud), ("h", help_panel)):
        before = darkness(screen.look()[panel])
        screen.press(key)
        assert within(3, lambda: abs(darkness(screen.look()[panel]) - before) > 0.2), key  # noqa: B023
        screen.press(key)
        assert within(3, lambda: abs(darkness(screen.look()[panel]) - before) < 0.1), key  # noqa: B023
    drawn = screen.look()
    screen.press("k", "t")
    assert within(3, lambda: repainted(screen.look(), drawn) > 1000), "keypoints and tracks are gone"
    assert within(3, lambda: repainted(screen.look(), screen.look()) < 100), "the bare scene is all but still"
    screen.press("space")
    assert within(3, lambda: (screen.look() == screen.look()).all()), "a paused picture stands still"

    screen.press("s")
    assert within(3, lambda: len(list(screen.folder.glob("snapshot_*.csv"))) == 1)
    screen.press("space", "v")
    assert within(5, lambda: list(screen.folder.glob("recording_*.partial.mkv")))
    assert within(5, lambda: next(screen.folder.glob("recording_*.partial.mkv")).stat().st_size > 0)
    screen.press("v")
    assert within(5, lambda: not list(screen.folder.glob("*.partial.mkv")))
    screen.press("q")
    code, errors = screen.finish()
    assert code == 0, errors
    assert "Traceback" not in errors
    assert json.loads((screen.folder / "s.json").read_text())["stopped_by"] == "user"
    with av.open(str(next(screen.folder.glob("recording_*.mp4")))) as recording:
        assert next(recording.decode(video=0)).time == 0


def test_closing_the_window_quits(screen: Screen) -> None:
    started(screen)
    screen.close_window()
    code, errors = screen.finish()
    assert code == 0, errors


def test_a_region_that_is_dragged_holds_the_tracks(screen: Screen) -> None:
    def positions() -> np.ndarray:
        """Of all tracks in a new snapshot."""
        for old in screen.folder.glob("snapshot_*"):
            old.unlink()
        screen.press("s")
        assert within(5, lambda: len(list(screen.folder.glob("snapshot_*.csv"))) == 1)
        (table,) = screen.folder.glob("snapshot_*.csv")
        with open(table, newline="") as file:
            return np.array([(row["x"], row["y"]) for row in csv.DictReader(file)], np.float32).reshape(-1, 2)

    def inside(xy: np.ndarray) -> np.ndarray:
        return ((xy >= (199, 149)) & (xy <= (441, 331))).all(axis=1)

    started(screen)
    assert within(10, lambda: len(positions()) > 100)
    assert not inside(positions()).all()
    place = screen.tool("getwindowgeometry", "--shell", screen.window).splitlines()[1:3]
    left, top = (int(word.partition("=")[2]) for word in place)
    for step in (
        ("mousemove", left + 200, top + 150),
        ("mousedown", 1),
        ("mousemove", left + 300, top + 200),
        ("mousemove", left + 440, top + 330),
        ("mouseup", 1),
    ):
        screen.tool(*map(str, step))
        time.sleep(0.2)
    assert within(15, lambda: len(found := positions()) > 20 and inside(found).all())
    screen.press("m")
    assert within(15, lambda: not inside(positions()).all())


def test_a_click_adds_a_point_and_a_right_click_gives_it_up(screen: Screen) -> None:
    def labelled() -> list[tuple[float, float]]:
        """Positions of points of one's own in a new snapshot."""
        for old in screen.folder.glob("snapshot_*"):
            old.unlink()
        screen.press("s")
        assert within(5, lambda: len(list(screen.folder.glob("snapshot_*.csv"))) == 1)
        (table,) = screen.folder.glob("snapshot_*.csv")
        with open(table, newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["label"]]
        return [(float(row["x"]), float(row["y"])) for row in rows]

    def push(button: int, x: float, y: float) -> None:
        for step in (("mousemove", left + x, top + y), ("click", button)):
            screen.tool(*(str(word) for word in step))
            time.sleep(0.2)

    started(screen)
    place = screen.tool("getwindowgeometry", "--shell", screen.window).splitlines()[1:3]
    left, top = (int(word.partition("=")[2]) for word in place)
    wanted = [(320, 240), (200, 300), (450, 200)]
    for x, y in wanted:
        push(1, x, y)
    assert within(15, lambda: len(labelled()) >= 2)
    found = labelled()
    for xy in found:
        assert min(np.hypot(xy[0] - x, xy[1] - y) for x, y in wanted) < 3
    push(3, *found[0])
    assert within(15, lambda: len(labelled()) == len(found) - 1)


def test_escape_quits(screen: Screen) -> None:
    started(screen)
    screen.press("Escape")
    assert screen.finish()[0] == 0


def test_an_unreachable_display_is_said_and_live_runs_headless(screen: Screen) -> None:
    screen.display = ":9999"
    screen.start("demo?frames=5", "--resize", "160")
    code, errors = screen.finish(60)
    assert code == 0
    assert "without a window" in errors
