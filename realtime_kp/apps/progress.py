"""Progress bars on standard error, since standard output is for results.

Names of files are shown as they are: brackets in them are no markup.
"""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


def progress_bars(quiet: bool) -> Progress:
    """Progress bars with the share done and the remaining time.

    Args:
        quiet: Show none.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )


def labelled_progress_bars(quiet: bool, *, counts: bool) -> Progress:
    """Progress bars whose tasks show a text of their own, in the field `shown`.

    Args:
        quiet: Show none.
        counts: Also show the number of steps and how many are done.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *([TextColumn("{task.completed}/{task.total}")] if counts else []),
        TextColumn("{task.fields[shown]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
