"""A ROS 2 bag in MCAP (mcap.dev), at the times of the source.

For each frame with tracks: `/tracks` (`sensor_msgs/PointCloud` as VINS' front ends publish it) and
`/annotations` (`foxglove_msgs/ImageAnnotations`); with a video `/image/compressed`
(`sensor_msgs/CompressedImage`, JPEG); with a lens `/camera_info` (`sensor_msgs/CameraInfo`), without one the
points of `/tracks` are pixels instead of normalised image coordinates. Frame id: `camera`.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp import __version__
from realtime_kp.errors import ConfigError
from realtime_kp.exports import ros_messages
from realtime_kp.exports.base import Clip, TrackPoints
from realtime_kp.exports.frame_rows import FrameRows, RowCollector
from realtime_kp.exports.video_frames import frames_of
from realtime_kp.frame import Frame
from realtime_kp.render import id_colours

log = logging.getLogger(__name__)

_FRAME_ID = "camera"
_QUALITY = 90
_TOPICS = {
    "/camera_info": "sensor_msgs/msg/CameraInfo",
    "/image/compressed": "sensor_msgs/msg/CompressedImage",
    "/tracks": "sensor_msgs/msg/PointCloud",
    "/annotations": "foxglove_msgs/msg/ImageAnnotations",
}


class McapExport:
    """Writes a bag, frame by frame, when all tracks are there."""

    suffix = ".mcap"

    def __init__(self) -> None:
        if importlib.util.find_spec("mcap") is None:
            raise ConfigError("mcap needs its package: pip install 'realtime-kp[mcap]'")
        self._clip: Clip | None = None
        self._rows = RowCollector()
        self._channels: dict[str, int] = {}

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Take the clip."""
        self._clip = clip
        if clip.lens is None:
            log.warning(
                "the points of /tracks are pixels: --camera FILE gives the directions that VINS takes"
            )

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Take a track."""
        self._rows.add(points)

    def end(self, out: BinaryIO) -> None:
        """Write all messages."""
        from mcap.writer import CompressionType, Writer

        assert self._clip is not None
        clip = self._clip
        writer = Writer(out, compression=CompressionType.NONE)
        writer.start("ros2", f"realtime-kp {__version__}")
        try:
            pictures = frames_of(clip, self._rows.numbers)
            for rows in self._rows.frames():
                picture = next(pictures) if clip.video is not None else None
                for topic, data in _messages(clip, rows, picture, self._rows.names):
                    time_ns = int(clip.times_ns[rows.frame])
                    writer.add_message(self._channel(writer, topic), time_ns, data, time_ns)
        finally:
            writer.finish()

    def _channel(self, writer: Any, topic: str) -> int:
        if topic not in self._channels:
            kind = _TOPICS[topic]
            schema = writer.register_schema(kind, "ros2msg", ros_messages.DEFINITIONS[kind].encode())
            self._channels[topic] = writer.register_channel(topic, "cdr", schema)
        return self._channels[topic]


def _messages(
    clip: Clip, rows: FrameRows, picture: Frame | None, names: dict[int, str]
) -> list[tuple[str, bytes]]:
    """Topic and message of all that belongs to one frame."""
    time_ns, lens, found = int(clip.times_ns[rows.frame]), clip.lens, []
    if lens is not None:
        found.append(("/camera_info", ros_messages.camera_info(time_ns, _FRAME_ID, lens)))
    if picture is not None:
        ok, jpeg = cv2.imencode(".jpg", picture.image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        assert ok
        found.append(("/image/compressed", ros_messages.compressed_image(time_ns, _FRAME_ID, jpeg.tobytes())))
    now, before = (xy if lens is None else lens.normalised(xy) for xy in (rows.xy, rows.before_xy))
    known = np.isfinite(now).all(axis=1)
    velocities = _velocities(clip, rows, now, before)
    cloud = (rows.ids[known], rows.xy[known], now[known], velocities[known])
    found.append(("/tracks", ros_messages.point_cloud(time_ns, _FRAME_ID, *cloud)))
    named = [
        (names[number], place)
        for number, place in zip(rows.ids.tolist(), rows.xy, strict=True)
        if number in names
    ]
    found.append(
        ("/annotations", ros_messages.image_annotations(time_ns, rows.xy, id_colours(rows.ids), named))
    )
    return found


def _velocities(
    clip: Clip, rows: FrameRows, now: NDArray[np.float64], before: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`(N, 2)`, in one second; 0 in a track's first frame, as VINS has it."""
    took_s = (clip.times_ns[rows.frame] - clip.times_ns[rows.before]) / 1e9
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (now - before) / took_s[:, None]
    return np.where(np.isfinite(found), found, 0.0)
