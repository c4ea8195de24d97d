"""Consoles: what is printed is text as it is, whatever a file is called."""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

_FILE_COLUMNS = 160


def let_every_message_print() -> None:
    """Escape characters that the encoding of a standard stream lacks, instead of raising an error.

    On a Windows pipe those are names in other scripts, elsewhere bytes of a name that are no UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class PlainConsole(Console):
    """A console that takes nothing in a text for markup or an emoji.

    Without a terminal there is no width: tables are cut at 160 columns instead of 80, unless `COLUMNS` says
    otherwise.

    Args:
        stderr: Print to standard error instead of standard output.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False)
        streams = (sys.stdin, sys.stdout, sys.stderr)
        if (
            not any(stream is not None and stream.isatty() for stream in streams)
            and "COLUMNS" not in os.environ
        ):
            self.width = _FILE_COLUMNS

    def on_broken_pipe(self) -> None:
        """Raise the error: rich would exit with 1, but the command chooses its exit code."""
        raise


def progress_bars(quiet: bool) -> Progress:
    """Progress bars with the share done and the remaining time.

    Args:
        quiet: Show none.
    """
    return _progress(quiet, BarColumn(), TaskProgressColumn())


def labelled_progress_bars(quiet: bool, *, counts: bool) -> Progress:
    """Progress bars whose tasks show a text of their own, in the field `shown`.

    Args:
        quiet: Show none.
        counts: Also show the number of steps and how many are done.
    """
    done = [TextColumn("{task.completed}/{task.total}")] if counts else []
    return _progress(quiet, BarColumn(), *done, TextColumn("{task.fields[shown]}", markup=False))


def _progress(quiet: bool, *columns: ProgressColumn) -> Progress:
    """On standard error, since standard output is for results."""
    name = TextColumn("{task.description}", markup=False)
    return Progress(name, *columns, TimeRemainingColumn(), console=PlainConsole(stderr=True), disable=quiet)
