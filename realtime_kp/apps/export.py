"""`export`: writes a saved tracks table for another tool."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from realtime_kp.apps.exit_codes import DONE
from realtime_kp.config import ExportConfig
from realtime_kp.exports import check_export, export_tracks, read_tracks
from realtime_kp.sinks import OutputLocks, check_output


def run_export(
    tracks: Path, to: str, out: Path, config: ExportConfig, console: Console, *, quiet: bool = False
) -> int:
    """Export a table.

    Args:
        tracks: The table.
        to: The format.
        out: The file.
        config: What is exported.
        console: Where the result is printed.
        quiet: Print errors only.

    Returns:
        0.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    check_export(to, out)
    check_output(out, overwrite=config.overwrite, inputs=[str(tracks)])
    with OutputLocks([out]):
        count = export_tracks(
            read_tracks(tracks),
            to,
            out,
            size_wh=config.size_wh,
            min_length=config.min_length,
            every=config.every,
        )
    if not quiet:
        console.print(f"{count} tracks: {out}", highlight=False, soft_wrap=True)
    return DONE
