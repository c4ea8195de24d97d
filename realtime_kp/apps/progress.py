"""Progress bars, on standard error: standard output is for figures."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bars(quiet: bool) -> Progress:
    """Bars with the share done and the time left.

    Args:
        quiet: Show none.
    """
    return Progress(console=Console(stderr=True), disable=quiet)


def telling_bars(quiet: bool, *, counts: bool) -> Progress:
    """Bars whose tasks tell about themselves in their field `shown`.

    Args:
        quiet: Show none.
        counts: Also show how many steps there are and how many are done.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *([TextColumn("{task.completed}/{task.total}")] if counts else []),
        TextColumn("{task.fields[shown]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
