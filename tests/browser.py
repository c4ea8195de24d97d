"""A browser that a test clicks and types in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains

from benchmarks import live_page
from tests.conftest import child_environment

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


def live(folder: Path, *words: str) -> live_page.LivePage:
    """A live run, not yet started."""
    return live_page.LivePage(folder, [*words, *LIGHT], child_environment())


class Browser(live_page.Browser):
    """With a mouse and keys; positions are pixels of the source."""

    def press(self, key: str) -> None:
        """Press a key."""
        ActionChains(self.driver).send_keys(key).perform()

    def press_button(self, selector: str) -> None:
        """Click on an element of the page."""
        self.driver.find_element("css selector", selector).click()

    def click(self, x: float, y: float) -> None:
        """Click there."""
        self._move(x, y).click().perform()

    def right_click(self, x: float, y: float) -> None:
        """Click there with the right button."""
        self._move(x, y).context_click().perform()

    def hover(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self._move(x, y).perform()

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Drag the mouse from the one to the other."""
        (left, top), (right, bottom) = self._place_of(x0, y0), self._place_of(x1, y1)
        chain = self._move(x0, y0).click_and_hold()
        chain.move_by_offset(right - left, bottom - top).release().perform()

    def _place_of(self, x: float, y: float) -> tuple[int, int]:
        """Where a pixel of the source is in the window."""
        box = "document.getElementById('stage').getBoundingClientRect()"
        left, top = self.ask(
            f"[{box}.left + ({x} + 0.5) * {box}.width / screen.shown.size[0],"
            f" {box}.top + ({y} + 0.5) * {box}.height / screen.shown.size[1]]"
        )
        return round(left), round(top)

    def _move(self, x: float, y: float) -> ActionChains:
        chain = ActionChains(self.driver, duration=50)
        chain.w3c_actions.pointer_action.move_to_location(*self._place_of(x, y))
        return chain


@contextmanager
def a_browser(*arguments: str) -> Iterator[Browser]:
    """A browser, while it is needed."""
    if None in map(shutil.which, live_page.PROGRAMS):
        pytest.skip("Chromium and its driver are missing: the README's test command installs them")
    with Browser(*arguments) as browser:
        yield browser
