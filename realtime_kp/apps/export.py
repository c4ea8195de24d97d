"""`export`: writes a saved tracks table for another tool."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from realtime_kp.apps.exit_codes import DONE
from realtime_kp.apps.signals import interrupting
from realtime_kp.config import ExportConfig
from realtime_kp.exports import EXPORTED, check_export, export_tracks, read_tracks
from realtime_kp.lens import open_lens_file
from realtime_kp.sinks import OutputLocks


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
    inputs = [str(tracks), *([] if config.video is None else [config.video])]
    check_export(to, out, overwrite=config.overwrite, inputs=inputs)
    lens = None if config.camera is None else open_lens_file(config.camera, config.camera_name)
    with interrupting(), OutputLocks([out]):
        count = export_tracks(
            read_tracks(tracks, EXPORTED),
            to,
            out,
            size_wh=config.size_wh,
            min_length=config.min_length,
            every=config.every,
            video=config.video,
            lens=lens,
        )
    if not quiet:
        console.print(f"{count} tracks: {out}", highlight=False, soft_wrap=True)
    return DONE
