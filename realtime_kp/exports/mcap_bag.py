"""A ROS 2 bag in MCAP, for `ros2 bag`, Foxglove and visual-inertial odometry.

All messages of a frame are stamped, logged and published at its time by the clock of the source:

- `/tracks`, `sensor_msgs/PointCloud`, as the feature tracker of VINS-Mono publishes its features (Qin, Li,
  Shen, VINS-Mono, T-RO 2018; feature_tracker_node.cpp): x, y are undistorted normalised image coordinates,
  z is 1; the channels, which its estimator takes by their order, are the id, the pixel, and the velocity in
  normalised coordinates a second, here since the track was last seen. Without a lens x, y are pixels, the
  velocity is in pixels a second, and z is 0, which that estimator refuses. Points where the lens sees no
  direction are left out.
- `/tracks/annotations`, `foxglove_msgs/ImageAnnotations`: a coloured point and a text with the label or id
  for each track, pixels from the upper left corner of the picture: the centre of the first is at (0.5, 0.5).
- `/image/compressed`, `sensor_msgs/CompressedImage`: the pictures as JPEG, with a video.
- `/camera_info`, `sensor_msgs/CameraInfo`, with a lens.

Messages come in the order of the frames; an index finds them by time (mcap.dev, MCAP specification).
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.exports import ros_definitions as ros
from realtime_kp.exports.base import Clip, TrackPoints, from_top_left
from realtime_kp.exports.clip_pictures import counted_pictures
from realtime_kp.exports.ros_messages import (
    camera_info,
    compressed_image,
    distortion_of,
    image_annotations,
    point_cloud,
)
from realtime_kp.exports.sightings import Sightings
from realtime_kp.render import id_rgb

log = logging.getLogger(__name__)

_JPEG_QUALITY = 90
_LATEST_NS = 2**31 * 1_000_000_000  # seconds of a stamp are an int32
_EXACT_IDS = 2**24  # whole numbers that float32 holds


class McapExport:
    """Writes an `.mcap` file."""

    suffix = ".mcap"

    def __init__(self) -> None:
        if importlib.util.find_spec("mcap") is None:
            raise ConfigError("mcap needs the package mcap: pip install 'realtime-kp[mcap]'")
        self._clip: Clip | None = None
        self._tracks: list[TrackPoints] = []

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Take the clip.

        Raises:
            ConfigError: ROS has no such lens.
            SourceError: A frame has a time that a message cannot have.
        """
        if clip.lens is not None:
            distortion_of(clip.lens)
        times_ns = clip.times_ns[clip.counted]
        for time_ns in (int(times_ns.min()), int(times_ns.max())):
            if not 0 <= time_ns < _LATEST_NS:
                raise SourceError(f"a frame has the time {time_ns / 1e9:.3f} s: mcap takes 0 to 2^31 s")
        self._clip = clip

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Take a track."""
        self._tracks.append(points)

    def end(self, out: BinaryIO) -> None:
        """Write all messages."""
        assert self._clip is not None
        if max(points.id for points in self._tracks) > _EXACT_IDS:
            log.warning("ids above %d are rounded in /tracks, whose channels are float32", _EXACT_IDS)
        bag = _Bag(out)
        frames = _Frames(self._clip, self._tracks)
        for number, image in counted_pictures(self._clip):
            time_ns = int(self._clip.times_ns[number])
            if self._clip.lens is not None:
                bag.write("/camera_info", ros.CAMERA_INFO, time_ns, camera_info(time_ns, self._clip.lens))
            if image is not None:
                picture = compressed_image(time_ns, _jpeg(image))
                bag.write("/image/compressed", ros.COMPRESSED_IMAGE, time_ns, picture)
            bag.write("/tracks", ros.POINT_CLOUD, time_ns, frames.cloud(number, time_ns))
            drawn = frames.drawn(number, time_ns)
            bag.write("/tracks/annotations", ros.ANNOTATIONS, time_ns, drawn)
        bag.finish()


class _Frames:
    """The messages about the tracks of each frame.

    Args:
        clip: Their clip.
        tracks: All tracks.
    """

    def __init__(self, clip: Clip, tracks: list[TrackPoints]) -> None:
        self._clip = clip
        self._seen = Sightings.of(tracks)
        self._depth = 0.0 if clip.lens is None else 1.0
        self._places = self._seen.xy if clip.lens is None else clip.lens.normalised(self._seen.xy)
        usual = {points.id: f"track{points.id}" for points in tracks}
        texts = [str(one.id) if one.name == usual[one.id] else one.name for one in tracks]
        self._names = np.array([text.encode() for text in texts], np.bytes_)

    def cloud(self, number: int, time_ns: int) -> bytes:
        rows = self._seen.rows(number)
        known = np.isfinite(self._places[rows]).all(axis=1)
        places, pixels = self._places[rows][known], self._seen.xy[rows][known]
        # Behind a place where the lens saw no direction the velocity is unknown.
        velocities = self._seen.velocities(rows, self._places, self._clip.times_ns)[known]
        channels = {
            "id_of_point": self._seen.ids[rows][known].astype(np.float64),
            "u_of_point": pixels[:, 0],
            "v_of_point": pixels[:, 1],
            "velocity_x_of_point": np.nan_to_num(velocities[:, 0]),
            "velocity_y_of_point": np.nan_to_num(velocities[:, 1]),
        }
        points = np.concatenate([places, np.full((len(places), 1), self._depth)], axis=1)
        return point_cloud(time_ns, points, channels)

    def drawn(self, number: int, time_ns: int) -> bytes:
        rows = self._seen.rows(number)
        rgb = id_rgb(self._seen.ids[rows]) / 255
        names = self._names[self._seen.numbers[rows]]
        return image_annotations(time_ns, from_top_left(self._seen.xy[rows]), names, rgb)


class _Bag:
    """An MCAP file with the profile of ROS 2.

    Args:
        out: An open file, which stays open.
    """

    def __init__(self, out: BinaryIO) -> None:
        from mcap.writer import Writer

        self._writer: Any = Writer(out)
        self._writer.start(profile="ros2", library="realtime-kp")
        self._channels: dict[str, int] = {}
        self._sequence: dict[str, int] = {}

    def write(self, topic: str, kind: str, time_ns: int, message: bytes) -> None:
        """Add a message of a topic, whose kind is always the same."""
        if topic not in self._channels:
            schema = self._writer.register_schema(kind, "ros2msg", ros.definition(kind).encode())
            self._channels[topic] = self._writer.register_channel(topic, "cdr", schema)
        number = self._sequence[topic] = self._sequence.get(topic, -1) + 1
        self._writer.add_message(self._channels[topic], time_ns, message, time_ns, number)

    def finish(self) -> None:
        """Write the index."""
        self._writer.finish()


def _jpeg(image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    good, data = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not good:
        raise SinkError("a picture cannot be written as JPEG")
    return np.asarray(data, np.uint8).ravel()
