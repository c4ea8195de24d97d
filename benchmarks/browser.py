"""How long a frame takes from its capture until a browser has painted it, beside the run's own latency.

python -m benchmarks.browser [SOURCE] [--seconds 20] [--flags='--model small']

Each frame carries its number in its picture, in black and white squares; the page reads it back from its
canvas, so that what is timed is the frame that is seen. Needs Chromium, its driver and Selenium (`pip install
'realtime-kp[test]'`). Both run on this machine: a browser on another one leaves the cores to the network.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.live_page import Browser, LivePage
from realtime_kp.machine import describe_machine

_WARM_UP_S = 5.0


@dataclass(frozen=True, slots=True)
class Painted:
    """What was measured, in milliseconds.

    Attributes:
        codec: How pictures were encoded.
        run_p50_ms: Latency of the run, from capture until a frame was handed over.
        run_p95_ms: The same, 95th percentile.
        paint_p50_ms: From capture until the browser had painted it.
        paint_p95_ms: The same, 95th percentile.
        fps: Frames per second of the run.
        painted_fps: Frames per second that were painted.
        read_back: Share of the numbers that were read back rightly.
    """

    codec: str
    run_p50_ms: float
    run_p95_ms: float
    paint_p50_ms: float
    paint_p95_ms: float
    fps: float
    painted_fps: float
    read_back: float


def measure(source: str, words: list[str], seconds: float, codec: str = "h264") -> Painted:
    """Serve a source, and watch it in a browser.

    Args:
        source: What `live` reads.
        words: Its further flags.
        seconds: How long to measure, after a warm-up.
        codec: How pictures are to be encoded: `h264` or `jpeg`.
    """
    flags = [source, "--serve", "0", "--no-window", *words]
    with tempfile.TemporaryDirectory() as folder, LivePage(Path(folder), flags) as live, Browser() as browser:
        browser.open(f"{live.link}{'&' if '?' in live.link else '?'}marked=1&codec={codec}")
        browser.wait_for_frames()
        time.sleep(_WARM_UP_S)
        browser.ask("(paints.recent = [], screen.marks = [], window.told = [],"
                    " setInterval(() => window.told.push(page.status.figures), 200), 0)")  # fmt: skip
        time.sleep(seconds)
        found = browser.ask(
            "({codec: page.codec, p50: paints.percentile(0.5), p95: paints.percentile(0.95),"
            " rate: paints.rate, marks: screen.marks, told: window.told})"
        )
    told, marks = found["told"], found["marks"]

    def median(name: str) -> float:
        return float(sorted(one[name] or 0.0 for one in told)[len(told) // 2])

    return Painted(
        codec=found["codec"],
        run_p50_ms=median("latency_p50_ms"),
        run_p95_ms=median("latency_p95_ms"),
        paint_p50_ms=found["p50"],
        paint_p95_ms=found["p95"],
        fps=median("fps"),
        painted_fps=found["rate"],
        read_back=sum(mark["read"] == mark["expected"] for mark in marks) / max(1, len(marks)),
    )


def main() -> None:
    """Measure H.264 and JPEG, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", nargs="?", default="demo")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--flags", default="", help="further flags of live, as one text: --flags='--model small'"
    )
    given = parser.parse_args()
    console, machine = Console(), describe_machine()
    table = Table("pictures", "run p50", "p95", "grab to paint p50", "p95", "FPS", "painted", "numbers right")
    for codec in ("h264", "jpeg"):
        found = measure(given.source, shlex.split(given.flags), given.seconds, codec)
        latencies = (found.run_p50_ms, found.run_p95_ms, found.paint_p50_ms, found.paint_p95_ms)
        rates = (found.fps, found.painted_fps)
        cells = [f"{value:.0f} ms" for value in latencies] + [f"{value:.1f}" for value in rates]
        table.add_row(found.codec, *cells, f"{found.read_back:.1%}")
    console.print(f"{machine['cpu']}, {machine['cores']} cores: {given.source} {given.flags}")
    console.print(table)


if __name__ == "__main__":
    main()
