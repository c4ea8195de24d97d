"""Messages of a bag: their definitions, and how tracks, pictures and lenses become them.

The definitions are those of ROS 2's `common_interfaces` (`sensor_msgs`, `std_msgs`, `geometry_msgs`) and of
Foxglove's schemas for ROS 2; a bag holds them with its messages, so that readers need no package of them.
Pixels are OpenCV's, as in ROS: the centre of the upper left one is at (0, 0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realtime_kp.exports.cdr import CdrWriter
from realtime_kp.lens import Lens

_LINE = "=" * 80
_TIME = "int32 sec\nuint32 nanosec\n"
_HEADER = "builtin_interfaces/Time stamp\nstring frame_id\n"
_POINT2 = "float64 x\nfloat64 y\n"
_COLOUR = "float64 r\nfloat64 g\nfloat64 b\nfloat64 a\n"


def _definition(text: str, **others: str) -> str:
    """A definition with those that it refers to, by their names with `__` for the slash."""
    parts = [f"{_LINE}\nMSG: {name.replace('__', '/')}\n{other}" for name, other in others.items()]
    return "\n".join([text, *parts])


DEFINITIONS = {
    "sensor_msgs/msg/CompressedImage": _definition(
        "std_msgs/Header header\nstring format\nuint8[] data\n",
        std_msgs__Header=_HEADER,
        builtin_interfaces__Time=_TIME,
    ),
    "sensor_msgs/msg/PointCloud": _definition(
        "std_msgs/Header header\ngeometry_msgs/Point32[] points\nsensor_msgs/ChannelFloat32[] channels\n",
        std_msgs__Header=_HEADER,
        builtin_interfaces__Time=_TIME,
        geometry_msgs__Point32="float32 x\nfloat32 y\nfloat32 z\n",
        sensor_msgs__ChannelFloat32="string name\nfloat32[] values\n",
    ),
    "sensor_msgs/msg/CameraInfo": _definition(
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring distortion_model\nfloat64[] d\n"
        "float64[9] k\nfloat64[9] r\nfloat64[12] p\nuint32 binning_x\nuint32 binning_y\n"
        "sensor_msgs/RegionOfInterest roi\n",
        std_msgs__Header=_HEADER,
        builtin_interfaces__Time=_TIME,
        sensor_msgs__RegionOfInterest=(
            "uint32 x_offset\nuint32 y_offset\nuint32 height\nuint32 width\nbool do_rectify\n"
        ),
    ),
    "foxglove_msgs/msg/ImageAnnotations": _definition(
        "foxglove_msgs/CircleAnnotation[] circles\nfoxglove_msgs/PointsAnnotation[] points\n"
        "foxglove_msgs/TextAnnotation[] texts\n",
        builtin_interfaces__Time=_TIME,
        foxglove_msgs__Point2=_POINT2,
        foxglove_msgs__Color=_COLOUR,
        foxglove_msgs__CircleAnnotation=(
            "builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nfloat64 diameter\n"
            "float64 thickness\nfoxglove_msgs/Color fill_color\nfoxglove_msgs/Color outline_color\n"
        ),
        foxglove_msgs__PointsAnnotation=(
            "builtin_interfaces/Time timestamp\nuint8 type\nfoxglove_msgs/Point2[] points\n"
            "foxglove_msgs/Color outline_color\nfoxglove_msgs/Color[] outline_colors\n"
            "foxglove_msgs/Color fill_color\nfloat64 thickness\n"
        ),
        foxglove_msgs__TextAnnotation=(
            "builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nstring text\n"
            "float64 font_size\nfoxglove_msgs/Color text_color\nfoxglove_msgs/Color background_color\n"
        ),
    ),
}
CHANNELS = ("id_of_point", "u_of_point", "v_of_point", "velocity_x_of_point", "velocity_y_of_point")
_POINTS = 1  # foxglove_msgs/PointsAnnotation: single points
_DOT_PX, _TEXT_PX = 4.0, 12.0
_WHITE, _NONE = np.ones(4), np.zeros(4)


def point_cloud(
    time_ns: int,
    frame_id: str,
    ids: NDArray[np.int64],
    xy: NDArray[np.float64],
    normalised: NDArray[np.float64],
    velocities: NDArray[np.float64],
) -> bytes:
    """`sensor_msgs/PointCloud` in the layout of the front ends of VINS-Mono (Qin et al., T-RO 2018).

    Args:
        time_ns: Stamp.
        frame_id: Name of the camera's frame.
        ids: `(N,)`; as float32, which the layout asks for, exact up to 16,777,216.
        xy: `(N, 2)`, pixels: u and v.
        normalised: `(N, 2)`, undistorted, normalised image coordinates: x and y, z is 1.
        velocities: `(N, 2)`, of these, in one second.
    """
    writer = CdrWriter().header(time_ns, frame_id)
    writer.sequence(np.column_stack([normalised, np.ones(len(ids))]), "<f4").whole(len(CHANNELS))
    for name, values in zip(CHANNELS, (ids, *xy.T, *velocities.T), strict=True):
        writer.text(name).sequence(values.astype(np.float32), "<f4")
    return writer.message()


def compressed_image(time_ns: int, frame_id: str, jpeg: bytes) -> bytes:
    """`sensor_msgs/CompressedImage`."""
    return CdrWriter().header(time_ns, frame_id).text("jpeg").data(jpeg).message()


def camera_info(time_ns: int, frame_id: str, lens: Lens) -> bytes:
    """`sensor_msgs/CameraInfo`."""
    radial = "plumb_bob" if len(lens.distortion) <= 5 else "rational_polynomial"
    model = "equidistant" if lens.model == "fisheye" else radial
    wanted = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}[model]
    coefficients = np.zeros(wanted)
    coefficients[: min(wanted, len(lens.distortion))] = lens.distortion[:wanted]
    width, height = lens.size_wh
    writer = CdrWriter().header(time_ns, frame_id).whole(height).whole(width).text(model)
    writer.sequence(coefficients, "<f8").numbers(lens.matrix, "<f8").numbers(np.eye(3), "<f8")
    writer.numbers(np.column_stack([lens.matrix, np.zeros(3)]), "<f8")
    for _ in range(6):  # binning, and the region of interest, which is everything
        writer.whole(0)
    return writer.whole(0, "?").message()


def image_annotations(
    time_ns: int,
    xy: NDArray[np.float64],
    colours: NDArray[np.float64],
    named: list[tuple[str, NDArray[np.float64]]],
) -> bytes:
    """`foxglove_msgs/ImageAnnotations`: a dot for each track, and the names of those that have one.

    Args:
        time_ns: Stamp.
        xy: `(N, 2)`, pixels.
        colours: `(N, 4)`, red, green, blue and opacity from 0 to 1.
        named: Name and position of each named point.
    """
    writer = CdrWriter().whole(0).whole(1).time(time_ns).whole(_POINTS, "B")
    writer.sequence(xy, "<f8").numbers(_WHITE, "<f8").sequence(colours, "<f8").numbers(_NONE, "<f8")
    writer.numbers(np.array([_DOT_PX]), "<f8").whole(len(named))
    for text, place in named:
        writer.time(time_ns).numbers(place, "<f8").text(text).numbers(np.array([_TEXT_PX]), "<f8")
        writer.numbers(_WHITE, "<f8").numbers(np.array([0, 0, 0, 0.6]), "<f8")
    return writer.message()
