"""Definitions of the ROS 2 messages that are written, as an MCAP file holds them.

Of ROS's common_interfaces (sensor_msgs, std_msgs, geometry_msgs, builtin_interfaces: the same from Foxy to
Rolling) and of foxglove_msgs 3, the release of Foxglove's schemas for ROS 2. In a file the definition of a
message is followed by those of the messages in it (MCAP's registry of schemas, `ros2msg`).
"""

from __future__ import annotations

POINT_CLOUD = "sensor_msgs/msg/PointCloud"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ANNOTATIONS = "foxglove_msgs/msg/ImageAnnotations"

_FIELDS = {
    "builtin_interfaces/Time": ("int32 sec", "uint32 nanosec"),
    "std_msgs/Header": ("builtin_interfaces/Time stamp", "string frame_id"),
    "geometry_msgs/Point32": ("float32 x", "float32 y", "float32 z"),
    "sensor_msgs/ChannelFloat32": ("string name", "float32[] values"),
    "sensor_msgs/PointCloud": (
        "std_msgs/Header header",
        "geometry_msgs/Point32[] points",
        "sensor_msgs/ChannelFloat32[] channels",
    ),
    "sensor_msgs/CompressedImage": ("std_msgs/Header header", "string format", "uint8[] data"),
    "sensor_msgs/RegionOfInterest": (
        "uint32 x_offset",
        "uint32 y_offset",
        "uint32 height",
        "uint32 width",
        "bool do_rectify",
    ),
    "sensor_msgs/CameraInfo": (
        "std_msgs/Header header",
        "uint32 height",
        "uint32 width",
        "string distortion_model",
        "float64[] d",
        "float64[9] k",
        "float64[9] r",
        "float64[12] p",
        "uint32 binning_x",
        "uint32 binning_y",
        "sensor_msgs/RegionOfInterest roi",
    ),
    "foxglove_msgs/Point2": ("float64 x", "float64 y"),
    "foxglove_msgs/Color": ("float64 r", "float64 g", "float64 b", "float64 a"),
    "foxglove_msgs/CircleAnnotation": (
        "builtin_interfaces/Time timestamp",
        "foxglove_msgs/Point2 position",
        "float64 diameter",
        "float64 thickness",
        "foxglove_msgs/Color fill_color",
        "foxglove_msgs/Color outline_color",
    ),
    "foxglove_msgs/PointsAnnotation": (
        "builtin_interfaces/Time timestamp",
        "uint8 UNKNOWN=0",
        "uint8 POINTS=1",
        "uint8 LINE_LOOP=2",
        "uint8 LINE_STRIP=3",
        "uint8 LINE_LIST=4",
        "uint8 type",
        "foxglove_msgs/Point2[] points",
        "foxglove_msgs/Color outline_color",
        "foxglove_msgs/Color[] outline_colors",
        "foxglove_msgs/Color fill_color",
        "float64 thickness",
    ),
    "foxglove_msgs/TextAnnotation": (
        "builtin_interfaces/Time timestamp",
        "foxglove_msgs/Point2 position",
        "string text",
        "float64 font_size",
        "foxglove_msgs/Color text_color",
        "foxglove_msgs/Color background_color",
    ),
    "foxglove_msgs/ImageAnnotations": (
        "foxglove_msgs/CircleAnnotation[] circles",
        "foxglove_msgs/PointsAnnotation[] points",
        "foxglove_msgs/TextAnnotation[] texts",
    ),
}


def definition(name: str) -> str:
    """The definition of a message with those of all messages in it.

    Args:
        name: One of the constants of this module.
    """
    whole = name.replace("/msg/", "/")
    parts = ["\n".join(_FIELDS[whole])]
    separator = "=" * 80
    parts += [f"{separator}\nMSG: {inner}\n" + "\n".join(_FIELDS[inner]) for inner in _inner(whole)]
    return "\n".join(parts) + "\n"


def _inner(name: str) -> list[str]:
    """Names of the messages in a message, at any depth, each once."""
    found: list[str] = []
    for line in _FIELDS[name]:
        kind = line.split()[0].split("[")[0]
        if kind in _FIELDS:
            found += [other for other in (kind, *_inner(kind)) if other not in found]
    return found
