"""CDR, the encoding of ROS 2 messages: little-endian values aligned to their own size.

Common Data Representation version 1 (OMG DDSI-RTPS 2.5, chapter 10; CORBA 3.3, part 2, 9.3): four bytes tell
the byte order, alignment counts from behind them. A sequence is its length as uint32 and its elements, a
string is a sequence of bytes that ends with a zero.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEAD = b"\x00\x01\x00\x00"


class CdrWriter:
    """Encodes one message, field by field."""

    def __init__(self) -> None:
        self._out = bytearray(_HEAD)

    def whole(self, *values: int) -> None:
        """Add uint32 values (or int32 ones that are not negative)."""
        self._align(4)
        self._out += struct.pack(f"<{len(values)}I", *values)

    def byte(self, value: int) -> None:
        """Add a uint8 or bool."""
        self._out.append(value)

    def doubles(self, *values: float) -> None:
        """Add float64 values."""
        self._align(8)
        self._out += struct.pack(f"<{len(values)}d", *values)

    def text(self, text: str) -> None:
        """Add a string."""
        self.sequence(np.frombuffer(text.encode() + b"\0", np.uint8))

    def sequence(self, values: NDArray[Any], alignment: int = 1) -> None:
        """Add a sequence.

        Args:
            values: `(N, ...)`, elements in the layout of the message.
            alignment: Size of the largest number in an element, bytes.
        """
        self.whole(len(values))
        self.elements(values, alignment)

    def elements(self, values: NDArray[Any], alignment: int) -> None:
        """Add elements of a sequence whose length was written."""
        if len(values) == 0:
            return  # nothing is aligned either
        self._align(alignment)
        self._out += np.ascontiguousarray(values).tobytes()

    def message(self) -> bytes:
        """The message."""
        return bytes(self._out)

    def _align(self, size: int) -> None:
        self._out += bytes(-(len(self._out) - len(_HEAD)) % size)
