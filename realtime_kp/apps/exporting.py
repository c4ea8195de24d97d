"""Exports of the tracks at the end of a run."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from realtime_kp.config import AppConfig
from realtime_kp.errors import SourceError
from realtime_kp.exports import export_tracks, read_tracks

log = logging.getLogger(__name__)


@contextmanager
def exporting(config: AppConfig) -> Iterator[AppConfig]:
    """Settings for a run whose tracks are exported when it has ended without an error.

    What is exported comes from the tracks table; where none was asked for, there is one for as long as the
    run lasts.

    Args:
        config: Settings of the run.
    """
    exports, tracks = config.output.exports, config.output.tracks
    if not exports:
        yield config
        return
    with tempfile.TemporaryDirectory(prefix="realtime_kp_") as folder:
        if tracks is None:
            tracks = Path(folder) / "tracks.csv"
            config = replace(config, output=replace(config.output, tracks=tracks))
        yield config
        if not tracks.exists():
            return
        table = read_tracks(tracks)
        for name, file in exports:
            try:
                count = export_tracks(table, name, file)
            except SourceError as exc:
                log.warning("%s was not written: %s", file, exc)
            else:
                log.info("%d tracks: %s", count, file)
