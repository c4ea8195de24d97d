"""A real browser, and the command whose page it opens."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

from tests.conftest import child_environment, within

# Small enough that a browser finds time beside it on two cores.
LIGHT = (
    "--model",
    "small",
    "--resize",
    "160",
    "--detect-every",
    "10",
    "--max-keypoints",
    "200",
    "--no-window",
)
_START_S = 90.0


class LivePage:
    """`realtime-kp live SOURCE --serve 0`, and where its page is.

    Args:
        folder: Where it runs.
        words: What follows `live`.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.address = ""
        self.link = ""
        self.told: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "realtime_kp", "live", *words, *LIGHT],
            cwd=folder,
            env=child_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        self._listener.start()
        line = self._process.stdout.readline()
        found = re.search(r"open (http://\S+)", line)
        assert found, (line, self.told)
        self.link = found[1]
        self.address = self.link.partition("?")[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        self._process.terminate()
        try:
            code = self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait(10)
            self._listener.join(10)
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
        return code

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self.told.extend(self._process.stderr)


class Browser:
    """Chromium without a screen.

    Args:
        arguments: Further flags of Chromium.
        size_wh: Size of its window.
    """

    def __init__(self, *arguments: str, size_wh: tuple[int, int] = (1280, 900)) -> None:
        programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
        if None in programs:
            pytest.skip("Chromium and its driver are missing: the README's test command installs them")
        options = Options()
        options.binary_location = str(programs[0])
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            *arguments,
        ):
            options.add_argument(flag)
        options.add_argument(f"--window-size={size_wh[0]},{size_wh[1]}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(str(programs[1])))

    def open(self, address: str) -> None:
        """Open a page, and forget what the one before has complained of."""
        self.driver.get(address)
        self.driver.get_log("browser")

    def ask(self, expression: str) -> Any:
        """The value of an expression; `screen`, `page`, `history` and `paints` are the page's."""
        names = "const {screen, page, history, paints, clock} = window.realtimeKp ?? {};"
        return self.driver.execute_script(f"{names} return {expression}")

    def wait(self, expression: str, timeout_s: float = 30.0) -> None:
        """Wait until an expression is true."""
        assert within(timeout_s, lambda: bool(self.ask(expression))), (expression, self.ask("page"))

    def wait_for_frames(self, count: int = 5) -> None:
        """Wait until so many frames more were shown, the first ones after the network was loaded."""
        self.wait("screen && screen.shown", _START_S)
        frame = self.ask("screen.shown.frame")
        self.wait(f"screen.shown.frame >= {frame + count}")

    def press(self, key: str) -> None:
        """Press a key."""
        ActionChains(self.driver).send_keys(key).perform()

    def place_of(self, x: float, y: float) -> tuple[int, int]:
        """Where a pixel of the source is in the window."""
        box = "document.getElementById('stage').getBoundingClientRect()"
        left, top = self.ask(
            f"[{box}.left + ({x} + 0.5) * {box}.width / screen.shown.size[0],"
            f" {box}.top + ({y} + 0.5) * {box}.height / screen.shown.size[1]]"
        )
        return round(left), round(top)

    def click(self, x: float, y: float) -> None:
        """Click on a pixel of the source."""
        self._move(x, y).click().perform()

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a pixel of the source."""
        self._move(x, y).perform()

    def right_click(self, x: float, y: float) -> None:
        """Click on a pixel of the source with the right button."""
        self._move(x, y).context_click().perform()

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Drag from one pixel of the source to another."""
        (left, top), (right, bottom) = self.place_of(x0, y0), self.place_of(x1, y1)
        chain = self._move(x0, y0).click_and_hold()
        chain.move_by_offset(right - left, bottom - top).release().perform()

    def press_button(self, selector: str) -> None:
        """Click on an element of the page."""
        self.driver.find_element("css selector", selector).click()

    @property
    def complaints(self) -> list[str]:
        """Errors in the console of the browser since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def _move(self, x: float, y: float) -> ActionChains:
        chain = ActionChains(self.driver, duration=50)
        chain.w3c_actions.pointer_action.move_to_location(*self.place_of(x, y))
        return chain


@contextmanager
def a_browser(*arguments: str, size_wh: tuple[int, int] = (1280, 900)) -> Iterator[Browser]:
    """A browser, while it is needed."""
    browser = Browser(*arguments, size_wh=size_wh)
    try:
        yield browser
    finally:
        browser.driver.quit()
