"""A recording of Rerun (rerun.io): the video as H.264, tracks with their ids, trails, and figures as curves.

See `RerunLog` for entities and timelines.
"""

from __future__ import annotations

from typing import BinaryIO

from realtime_kp.exports.base import Clip, TrackPoints
from realtime_kp.exports.frame_rows import RowCollector
from realtime_kp.exports.video_frames import frames_of
from realtime_kp.sinks.rerun_stream import TRAIL_LENGTH, RerunFrame, RerunLog, check_rerun

_EVERY_FRAMES = 100  # after so many, what has come so far is written


class RerunExport:
    """Writes an `.rrd` file, frame by frame, when all tracks are there."""

    suffix = ".rrd"

    def __init__(self) -> None:
        check_rerun("spawn")
        self._clip: Clip | None = None
        self._rows = RowCollector(TRAIL_LENGTH)

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Take the clip."""
        self._clip = clip

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Take a track."""
        self._rows.add(points)

    def end(self, out: BinaryIO) -> None:
        """Write all frames."""
        import rerun as rr

        assert self._clip is not None
        clip = self._clip
        recording = rr.RecordingStream("realtime-kp")
        stream, log = recording.binary_stream(), RerunLog(recording)
        try:
            pictures = frames_of(clip, self._rows.numbers)
            for number, rows in enumerate(self._rows.frames(), start=1):
                picture = next(pictures).image_bgr if clip.video is not None else None
                names = {one: self._rows.names[one] for one in rows.ids.tolist() if one in self._rows.names}
                time_ns = int(clip.times_ns[rows.frame])
                log.log(
                    RerunFrame(
                        rows.frame, time_ns, rows.ids, rows.xy, rows.trails, rows.lengths, names, picture
                    )
                )
                if number % _EVERY_FRAMES == 0:
                    out.write(stream.read() or b"")
            out.write(stream.read() or b"")
        finally:
            recording.disconnect()
