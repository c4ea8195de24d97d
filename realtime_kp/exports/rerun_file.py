"""A recording of Rerun, with the pictures as H.264 where there is a video; what it holds: `sinks/rerun_log`.

Trails are the last 20 positions in the frames that count.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.exports.base import Clip, TrackPoints
from realtime_kp.exports.clip_pictures import counted_pictures
from realtime_kp.exports.replay import Replay
from realtime_kp.exports.sightings import Sightings
from realtime_kp.exports.track_table import TrackTable
from realtime_kp.sinks.rerun_log import APPLICATION, TRAIL_LENGTH, RerunLog


class RerunExport:
    """Writes an `.rrd` file.

    The SDK's stream of bytes would not do: it ends what was read each time as a file of its own, with an
    index, and files one after the other are no file. So the SDK writes one beside, which is copied.
    """

    suffix = ".rrd"

    def __init__(self) -> None:
        if importlib.util.find_spec("rerun") is None:
            raise ConfigError("rerun needs rerun-sdk: pip install 'realtime-kp[rerun]'")
        self._clip: Clip | None = None
        self._tracks: list[TrackPoints] = []

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Take the clip."""
        self._clip = clip

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Take a track."""
        self._tracks.append(points)

    def end(self, out: BinaryIO) -> None:
        """Write the recording."""
        assert self._clip is not None
        beside = Path(out.name).absolute()
        with tempfile.TemporaryDirectory(prefix=f"{beside.stem}.", dir=beside.parent) as folder:
            whole = Path(folder) / "tracks.rrd"
            try:
                _record(self._clip, self._tracks, whole)
            except (RuntimeError, av.FFmpegError) as exc:
                raise SinkError(f"cannot write {beside.name}: {exc}") from exc
            with open(whole, "rb") as recorded:
                shutil.copyfileobj(recorded, out)


def _record(clip: Clip, tracks: list[TrackPoints], path: Path) -> None:
    import rerun as rr

    recording = rr.RecordingStream(APPLICATION, recording_id=str(uuid.uuid4()))
    try:
        recording.save(str(path))
        if clip.name:
            recording.send_recording_name(Path(clip.name).name)
        log, replay = RerunLog(recording), Replay(_table(tracks), TRAIL_LENGTH)
        for number, image in counted_pictures(clip):
            log.write(number, int(clip.times_ns[number]), replay.tracks(number), image)
        recording.flush()
    finally:
        recording.disconnect()


def _table(tracks: list[TrackPoints]) -> TrackTable:
    seen = Sightings.of(tracks)
    usual: NDArray[np.object_] = np.array([f"track{points.id}" for points in tracks], object)
    names: NDArray[np.object_] = np.array([points.name for points in tracks], object)
    labels = np.where(names == usual, "", names)
    return TrackTable(
        {
            "frame": seen.frames,
            "track_id": seen.ids,
            "x": seen.xy[:, 0],
            "y": seen.xy[:, 1],
            "length": seen.lengths,
            "label": labels[seen.numbers],
        },
        {},
    )
