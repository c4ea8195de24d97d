"""Encoded pictures on their way to viewers."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, NamedTuple

Codec = Literal["h264", "jpeg"]
# `plain`: the frame alone; `drawn`: as a window shows it; `marked`: the frame with its number in it.
Variant = Literal["plain", "drawn", "marked"]

CODECS: tuple[Codec, ...] = ("h264", "jpeg")
VARIANTS: tuple[Variant, ...] = ("plain", "drawn", "marked")

_HEADER = struct.Struct("<BBBxIqdII")
_VERSION = 1
_KEY = 1


class PictureKind(NamedTuple):
    """Which pictures: how they are encoded, and what is in them."""

    codec: Codec
    variant: Variant


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture.

    Attributes:
        kind: How it is encoded, and what is in it.
        frame: Index of its frame.
        captured_at_s: When that was captured, on the clock of `time.perf_counter`.
        size_wh: Width and height of the frame, in whose pixels positions are told; the picture may be
            smaller.
        key: Whether it can be decoded without those before it.
        data: JPEG file, or H.264 in Annex B.
    """

    kind: PictureKind
    frame: int
    captured_at_s: float
    size_wh: tuple[int, int]
    key: bool
    data: bytes

    def message(self) -> bytes:
        """The picture behind a header of 32 bytes, little-endian.

        The header: version (1), codec (0: H.264, 1: JPEG), flags (bit 0: decodable alone), a byte 0 (8 bits
        each); length of the data (32); index of the frame (64, signed); time of capture in seconds (64,
        float); width and height of the frame (32 each).
        """
        codec, flags = CODECS.index(self.kind.codec), _KEY if self.key else 0
        header = (_VERSION, codec, flags, len(self.data), self.frame, self.captured_at_s, *self.size_wh)
        return _HEADER.pack(*header) + self.data
