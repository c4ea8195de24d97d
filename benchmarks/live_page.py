"""The page of `realtime-kp live --serve` in a real browser: Chromium without a screen, driven by Selenium.

Debian and Ubuntu have both programs: `apt-get install chromium chromium-driver`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

PROGRAMS = ("chromium", "chromedriver")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
_WAKE_S = 0.02
_END_S = 20.0


class LivePage:
    """`realtime-kp live …` in a process of its own, and where its page is.

    Args:
        folder: Where it runs.
        words: What follows `live`.
        environment: Its environment; None is that of this process.

    Attributes:
        link: The address that it tells, with the token where it has made one.
        address: The same without a token.
        told: Lines of its standard error so far.
    """

    def __init__(
        self, folder: Path, words: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.link = ""
        self.address = ""
        self.told: list[str] = []
        self._words = words
        self._environment = dict(os.environ if environment is None else environment)
        self._process: subprocess.Popen[str] | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "realtime_kp", "live", *self._words],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listener.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"open (http://\S+)", line)
        if found is None:
            self.stop()
            raise RuntimeError(f"live has told no address but {line!r} and {self.told}")
        self.link = found[1]
        self.address = self.link.partition("?")[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        process = self._process
        assert process is not None
        process.terminate()
        try:
            return process.wait(_END_S)
        finally:
            process.kill()
            process.wait()
            self._listener.join(_END_S)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def wait(self, timeout_s: float) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        self.told.extend(self._process.stderr)


class Browser:
    """Chromium without a screen, while it is needed.

    Args:
        arguments: Further flags of Chromium.
        size_wh: Size of its window.

    Attributes:
        driver: Selenium's driver.
    """

    def __init__(self, *arguments: str, size_wh: tuple[int, int] = (1280, 900)) -> None:
        self._arguments = (*_FLAGS, *arguments, f"--window-size={size_wh[0]},{size_wh[1]}")

    def __enter__(self) -> Self:
        chromium, driver = (shutil.which(name) for name in PROGRAMS)
        if chromium is None or driver is None:
            raise FileNotFoundError(
                "Chromium or its driver is missing: apt-get install chromium chromium-driver"
            )
        options = Options()
        options.binary_location = chromium
        for flag in self._arguments:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()

    def open(self, address: str) -> None:
        """Open a page, and forget what the one before has complained of."""
        self.driver.get(address)
        self._log()

    def ask(self, expression: str) -> Any:
        """The value of an expression; `screen`, `page`, `history`, `paints` and `clock` are the page's."""
        names = "const {screen, page, history, paints, clock} = window.realtimeKp ?? {};"
        return self.driver.execute_script(f"{names} return {expression}")

    def wait(self, expression: str, timeout_s: float = 30.0) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: It is not in time.
        """
        deadline_s = time.perf_counter() + timeout_s
        while not self.ask(expression):
            if time.perf_counter() > deadline_s:
                raise TimeoutError(f"{expression} did not come true; the page knows {self.ask('page')}")
            time.sleep(_WAKE_S)

    def wait_for_frames(self, count: int = 5, timeout_s: float = 90.0) -> None:
        """Wait until so many frames more were shown; the first one comes after the network was loaded."""
        self.wait("screen && screen.shown", timeout_s)
        frame = self.ask("screen.shown.frame")
        self.wait(f"screen.shown.frame >= {frame + count}", timeout_s)

    @property
    def complaints(self) -> list[str]:
        """Errors in the console of the browser since the last call."""
        return [entry["message"] for entry in self._log() if entry["level"] == "SEVERE"]

    def _log(self) -> list[dict[str, str]]:
        return list(self.driver.get_log("browser"))  # type: ignore[no-untyped-call]
