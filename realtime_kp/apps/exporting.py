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
from realtime_kp.exports import EXPORTED, export_tracks, read_tracks
from realtime_kp.lens import open_lens_file
from realtime_kp.sources import SourceKind, source_kind

log = logging.getLogger(__name__)

_READ_AGAIN = (SourceKind.VIDEO, SourceKind.DEMO, SourceKind.MOVING_PICTURE)


@contextmanager
def exporting(config: AppConfig, source: str | None) -> Iterator[AppConfig]:
    """Settings for a run whose tracks are exported when it has ended without an error.

    What is exported comes from the tracks table; where none was asked for, there is one for as long as the
    run lasts.

    Args:
        config: Settings of the run.
        source: What is tracked: where it can be read again, formats that keep pictures read it; None where it
            is in several parts.
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
        table, camera = read_tracks(tracks, EXPORTED), config.input.camera
        lens = None if camera is None else open_lens_file(camera, config.input.camera_name)
        again = source is not None and source_kind(source) in _READ_AGAIN
        video = source if again else None
        for name, file in exports:
            try:
                count = export_tracks(table, name, file, video=video, lens=lens)
            except SourceError as exc:
                log.warning("%s was not written: %s", file, exc)
            else:
                log.info("%d tracks: %s", count, file)
