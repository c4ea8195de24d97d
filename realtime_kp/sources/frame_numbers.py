"""Missing pictures of a raw H.264 stream, told by the frame numbers in it.

A raw stream has neither times nor counts, and decoders conceal what is missing without a word. Syntax and
semantics: ITU-T H.264, 7.3.2.1, 7.3.2.2, 7.3.3, 7.4.3 (`frame_num`), and 9.1 (exponential-Golomb codes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_START = re.compile(rb"\x00\x00\x01")
_HEAD_BYTES = 64
_SLICE, _IDR_SLICE, _SEQUENCE, _PICTURE = 1, 5, 7, 8
# Profiles whose sequence parameter sets name chroma format and scaling lists.
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})


class _Bits:
    """Reads the bits of a network abstraction layer unit, after its first byte."""

    def __init__(self, unit: bytes) -> None:
        payload = unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header is cut off")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What a sequence parameter set says of frame numbers."""

    number_bits: int
    separate_planes: bool
    gaps_allowed: bool


class FrameNumbers:
    """Counts pictures that others refer to and that never came."""

    def __init__(self) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of_picture: dict[int, int] = {}
        self._reference: int | None = None

    def missing_before(self, packet: bytes) -> int:
        """How many reference pictures are missing between the packet before and this one.

        Args:
            packet: The units of one picture, each after a start code; packets come in decoding order.
        """
        starts = [match.end() for match in _START.finditer(packet)]
        for start in starts:
            unit = packet[start : start + _HEAD_BYTES]
            kind = unit[0] & 31 if unit else 0
            try:
                if kind == _SEQUENCE:
                    number, found = _sequence(_Bits(packet[start : start + 8 * _HEAD_BYTES]))
                    self._sequences[number] = found
                elif kind == _PICTURE:
                    bits = _Bits(unit)
                    self._sequence_of_picture[bits.golomb()] = bits.golomb()
                elif kind in (_SLICE, _IDR_SLICE):
                    return self._before(unit, kind == _IDR_SLICE)
            except (ValueError, KeyError):
                return 0  # damaged in another way, which the decoder tells
        return 0

    def _before(self, unit: bytes, is_idr: bool) -> int:
        bits = _Bits(unit)
        bits.golomb(), bits.golomb()  # first macroblock, kind of slice
        sequence = self._sequences[self._sequence_of_picture[bits.golomb()]]
        if sequence.separate_planes:
            bits.take(2)
        number, before = bits.take(sequence.number_bits), self._reference
        period = 1 << sequence.number_bits
        is_reference = bool(unit[0] & 0x60)
        if before is None or is_idr or sequence.gaps_allowed or number == before:
            self._reference = number if is_reference or before is None else before
            return 0
        # A picture to which none refers has the number that the next reference will have.
        self._reference = number if is_reference else (number - 1) % period
        return (number - before - 1) % period


def _sequence(bits: _Bits) -> tuple[int, _Sequence]:
    """Number and contents of a sequence parameter set."""
    profile = bits.take(8)
    bits.take(16)
    number, separate_planes = bits.golomb(), False
    if profile in _HIGH_PROFILES:
        chroma_format = bits.golomb()
        separate_planes = chroma_format == 3 and bool(bits.take(1))
        bits.golomb(), bits.golomb(), bits.take(1)  # bit depths, lossless transform
        if bits.take(1):
            for place in range(12 if chroma_format == 3 else 8):
                if bits.take(1):
                    _pass_scaling_list(bits, 16 if place < 6 else 64)
    number_bits = bits.golomb() + 4
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1), bits.golomb(), bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()  # number of reference frames
    return number, _Sequence(number_bits, separate_planes, bool(bits.take(1)))


def _pass_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last
