"""What of a run is logged to Rerun, and as what (rerun.io, reference of the archetypes).

Below `video`: the pictures (`VideoStream`, H.264), `video/tracks` (`Points2D` with the colour of the id, the
label or id as text, and the id as `track_id`) and `video/trails` (`LineStrips2D`). Below `figures`: the
number of tracks and the mean number of frames in which they were seen (`Scalars`). Time lines are `frame`
and, with the time of the source, `time`, as a date where it counts from 1970. Rerun's pixels are from the
upper left corner of the picture: the centre of the first is at (0.5, 0.5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Tracks
from realtime_kp.render import id_rgb
from realtime_kp.sinks.h264_packets import H264Packets

TRAIL_LENGTH = 20
_SINCE_1970_NS = 10**17  # clocks that count from there are beyond: it is 1973
APPLICATION = "realtime-kp"

_VIDEO, _TRACKS, _TRAILS = "video", "video/tracks", "video/trails"
_COUNT, _LENGTH = "figures/tracks", "figures/mean_length"
_POINT_RADIUS_UI = -3.0  # negative: in points of the screen
_LINE_RADIUS_UI = -1.0


class RerunLog:
    """Logs frame after frame.

    Args:
        recording: A `rerun.RecordingStream` with its sink.
    """

    def __init__(self, recording: Any) -> None:
        self._recording = recording
        self._packets = H264Packets()
        self._begun = False

    def write(
        self, index: int, time_ns: int, tracks: Tracks, image_bgr: NDArray[np.uint8] | None = None
    ) -> None:
        """Log a frame.

        Args:
            index: Its index.
            time_ns: Its time by the clock of the source, nanoseconds.
            tracks: The tracks to show.
            image_bgr: `(H, W, 3)`, the picture; None without one.

        Raises:
            RuntimeError: The SDK cannot write.
            av.FFmpegError: The encoder fails.
        """
        import rerun as rr

        if not self._begun:
            self._begin(image_bgr is not None)
        self._recording.set_time("frame", sequence=index)
        if time_ns < _SINCE_1970_NS:
            self._recording.set_time("time", duration=np.timedelta64(time_ns, "ns"))
        else:
            self._recording.set_time("time", timestamp=np.datetime64(time_ns, "ns"))
        if image_bgr is not None:
            sample = self._packets.packet(image_bgr)
            self._recording.log(_VIDEO, rr.VideoStream.from_fields(sample=sample))
        self._points(tracks)
        self._trails(tracks)
        self._recording.log(_COUNT, rr.Scalars(float(len(tracks))))
        if len(tracks):
            self._recording.log(_LENGTH, rr.Scalars(float(tracks.lengths.mean())))

    def _begin(self, with_video: bool) -> None:
        """Log what stays the same."""
        import rerun as rr

        if with_video:
            self._recording.log(_VIDEO, rr.VideoStream(codec=rr.VideoCodec.H264), static=True)
        points = rr.Points2D.from_fields(radii=_POINT_RADIUS_UI, show_labels=False, draw_order=2.0)
        self._recording.log(_TRACKS, points, static=True)
        lines = rr.LineStrips2D.from_fields(radii=_LINE_RADIUS_UI, draw_order=1.0)
        self._recording.log(_TRAILS, lines, static=True)
        self._begun = True

    def _points(self, tracks: Tracks) -> None:
        import pyarrow as pa
        import rerun as rr

        points = rr.Points2D.from_fields(
            positions=tracks.xy + np.float32(0.5),
            colors=id_rgb(tracks.ids),
            labels=[tracks.labels.get(number) or str(number) for number in tracks.ids.tolist()],
        )
        # Class and keypoint ids of Rerun end at 65535. No type could be told from an empty array.
        self._recording.log(_TRACKS, points, rr.AnyValues(track_id=pa.array(tracks.ids, pa.int64())))

    def _trails(self, tracks: Tracks) -> None:
        import pyarrow as pa
        import rerun as rr

        points, offsets, owners = trail_strips(tracks.trails_xy[:, -TRAIL_LENGTH:])
        kind = rr.components.LineStrip2DBatch([]).as_arrow_array().type
        # The SDK would convert a list of arrays one by one, at milliseconds a frame.
        flat = pa.array((points + np.float32(0.5)).ravel(), pa.float32())
        pairs = pa.FixedSizeListArray.from_arrays(flat, type=kind.value_type)
        strips = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pairs, type=kind)
        colours = id_rgb(tracks.ids[owners])
        self._recording.log(_TRAILS, rr.LineStrips2D.from_fields(strips=strips, colors=colours))


def trail_strips(
    trails_xy: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Trails as lines, one for each stretch of at least two positions without a gap.

    Args:
        trails_xy: `(M, L, 2)`, NaN where there is no position.

    Returns:
        `(N, 2)`, all points; `(S + 1,)`, where each line begins, and the end; `(S,)`, whose trail each is.
    """
    known = ~np.isnan(trails_xy[..., 0])
    begins = known.copy()
    begins[:, 1:] &= ~known[:, :-1]
    lines = np.cumsum(begins.ravel()) - 1
    counts = np.bincount(lines[known.ravel()], minlength=int(begins.sum()))
    long = counts >= 2
    kept = known.ravel() & long[np.maximum(lines, 0)] if len(counts) else known.ravel()
    offsets = np.concatenate([[0], np.cumsum(counts[long])]).astype(np.intp)
    return trails_xy.reshape(-1, 2)[kept], offsets, np.nonzero(begins)[0][long]
