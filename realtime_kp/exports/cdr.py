"""Messages of ROS 2 as bytes: Common Data Representation, little endian (OMG, DDS-RTPS 2.3, section 10)."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

_HEAD = b"\x00\x01\x00\x00"


class CdrWriter:
    """Builds one message; every value is aligned to its own size, counted from behind the head."""

    def __init__(self) -> None:
        self._data = bytearray()

    def whole(self, value: int, form: str = "I") -> CdrWriter:
        """Add a whole number in a form of `struct`: by default 32 bits, without a sign."""
        self._align(struct.calcsize(f"<{form}"))
        self._data += struct.pack(f"<{form}", value)
        return self

    def text(self, value: str) -> CdrWriter:
        """Add a text."""
        data = value.encode("utf-8", "backslashreplace") + b"\0"
        self.whole(len(data))
        self._data += data
        return self

    def data(self, value: bytes) -> CdrWriter:
        """Add a sequence of bytes."""
        self.whole(len(value))
        self._data += value
        return self

    def numbers(self, values: NDArray[np.float64] | NDArray[np.float32], kind: str) -> CdrWriter:
        """Add floating point numbers as they are, without their count, which makes a fixed array.

        Args:
            values: Of any shape, row by row.
            kind: `<f4` or `<f8`.
        """
        array = np.ascontiguousarray(values, kind)
        if array.size:
            self._align(array.itemsize)
            self._data += array.tobytes()
        return self

    def sequence(self, values: NDArray[np.float64] | NDArray[np.float32], kind: str) -> CdrWriter:
        """Add a sequence of numbers or structures: the count of rows, then the numbers."""
        return self.whole(len(values)).numbers(values, kind)

    def time(self, time_ns: int) -> CdrWriter:
        """Add a time."""
        return self.whole(time_ns // 1_000_000_000, "i").whole(time_ns % 1_000_000_000)

    def header(self, time_ns: int, frame_id: str) -> CdrWriter:
        """Add a `std_msgs/Header`."""
        return self.time(time_ns).text(frame_id)

    def message(self) -> bytes:
        """The whole message."""
        return _HEAD + bytes(self._data)

    def _align(self, size: int) -> None:
        self._data += bytes(-len(self._data) % size)
