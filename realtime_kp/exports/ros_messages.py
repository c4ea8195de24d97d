"""Tracks, pictures and lenses as encoded ROS 2 messages (definitions in `ros_definitions`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError
from realtime_kp.exports.cdr import CdrWriter
from realtime_kp.lens import Lens

FRAME_ID = "camera"

_POINTS = 1  # PointsAnnotation.POINTS
_POINT_SIZE_PX = 5.0
_FONT_SIZE_PX = 12.0
_TEXT_BESIDE_PX = 4.0
_STAMP_BYTES = 8
_CLEAR = (0.0, 0.0, 0.0, 0.0)


def point_cloud(
    time_ns: int, places: NDArray[np.float64], channels: Mapping[str, NDArray[np.float64]]
) -> bytes:
    """A `sensor_msgs/PointCloud`.

    Args:
        time_ns: Its stamp.
        places: `(N, 3)`.
        channels: `(N,)` values by name.
    """
    out = _with_header(time_ns)
    out.sequence(places.astype("<f4"), 4)
    out.whole(len(channels))
    for name, values in channels.items():
        out.text(name)
        out.sequence(values.astype("<f4"), 4)
    return out.message()


def compressed_image(time_ns: int, jpeg: NDArray[np.uint8]) -> bytes:
    """A `sensor_msgs/CompressedImage` of the bytes of a JPEG file, `(N,)`."""
    out = _with_header(time_ns)
    out.text("jpeg")
    out.sequence(jpeg)
    return out.message()


def camera_info(time_ns: int, lens: Lens) -> bytes:
    """A `sensor_msgs/CameraInfo`: as in OpenCV the centre of the top left pixel is at (0, 0)."""
    model, coefficients = distortion_of(lens)
    out = _with_header(time_ns)
    out.whole(lens.size_wh[1], lens.size_wh[0])
    out.text(model)
    out.sequence(np.array(coefficients, "<f8"), 8)
    out.doubles(*lens.matrix.ravel(), *np.eye(3).ravel(), *np.pad(lens.matrix, ((0, 0), (0, 1))).ravel())
    out.whole(0, 0)
    out.whole(0, 0, 0, 0)
    out.byte(False)
    return out.message()


def distortion_of(lens: Lens) -> tuple[str, tuple[float, ...]]:
    """Name and coefficients of a lens's distortion (sensor_msgs/distortion_models.hpp, REP 104).

    Raises:
        ConfigError: ROS has no such lens.
    """
    if lens.model == "fisheye":
        return "equidistant", lens.distortion
    if any(lens.distortion[8:]):
        raise ConfigError("ROS has no lens with a thin prism: calibrate it without")
    count = 8 if any(lens.distortion[5:]) else 5
    known = lens.distortion[:count]
    return "plumb_bob" if count == 5 else "rational_polynomial", (*known, *[0.0] * (count - len(known)))


def image_annotations(
    time_ns: int, xy: NDArray[np.float64], names: NDArray[np.bytes_], rgb: NDArray[np.float64]
) -> bytes:
    """A `foxglove_msgs/ImageAnnotations`: points, and a text beside each, in the same order.

    Args:
        time_ns: Its stamp.
        xy: `(N, 2)`, pixels from the upper left corner of the picture.
        names: `(N,)`, texts in UTF-8; shorter ones come first in the message.
        rgb: `(N, 3)`, colours, 0 to 1.
    """
    lengths = np.strings.str_len(names)
    order = np.argsort(lengths, kind="stable")
    xy, names, lengths = xy[order], names[order], lengths[order]
    colours = np.concatenate([rgb[order], np.ones((len(xy), 1))], axis=1).astype("<f8")
    out = CdrWriter()
    out.whole(0)
    out.whole(1)
    out.whole(*_stamp(time_ns))
    out.byte(_POINTS)
    out.sequence(xy.astype("<f8"), 8)
    out.doubles(1.0, 1.0, 1.0, 1.0)
    out.sequence(colours, 8)
    out.doubles(*_CLEAR, _POINT_SIZE_PX)
    out.whole(len(xy))
    groups = []
    for length in np.unique(lengths).tolist():
        those = lengths == length
        groups.append(_texts(time_ns, xy[those], names[those], length, colours[those]).tobytes())
    texts = np.frombuffer(b"".join(groups), np.uint8)
    # Behind the number of texts the first one alone has padding between stamp and position.
    out.elements(texts[:_STAMP_BYTES], 4)
    out.elements(texts[_STAMP_BYTES:], 8)
    return out.message()


def _texts(
    time_ns: int,
    xy: NDArray[np.float64],
    names: NDArray[np.bytes_],
    length: int,
    colours: NDArray[np.float64],
) -> NDArray[np.void]:
    """Elements `foxglove_msgs/TextAnnotation` whose texts have one length, in bytes.

    Each begins and ends at a multiple of 8 bytes, so that the padding is the same in all of them.
    """
    padded = -(-(4 + length + 1) // 8) * 8 - 4
    layout = np.dtype(
        [
            ("stamp", "<u4", 2),
            ("position", "<f8", 2),
            ("length", "<u4"),
            ("text", f"S{padded}"),
            ("font_size", "<f8"),
            ("colour", "<f8", 4),
            ("background", "<f8", 4),
        ]
    )
    texts = np.zeros(len(xy), layout)
    texts["stamp"] = _stamp(time_ns)
    texts["position"] = xy + np.array((_TEXT_BESIDE_PX, -_TEXT_BESIDE_PX))
    texts["length"] = length + 1
    texts["text"] = names
    texts["font_size"] = _FONT_SIZE_PX
    texts["colour"] = colours
    texts["background"] = _CLEAR
    return texts


def _with_header(time_ns: int) -> CdrWriter:
    out = CdrWriter()
    out.whole(*_stamp(time_ns))
    out.text(FRAME_ID)
    return out


def _stamp(time_ns: int) -> tuple[int, int]:
    """Seconds and nanoseconds."""
    return divmod(time_ns, 1_000_000_000)
