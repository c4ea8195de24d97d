"""Missing pictures of a raw H.264 stream, told by the frame numbers in it.

A raw stream has neither times nor counts, and decoders conceal what is missing without a word. Syntax and
semantics: ITU-T H.264, 7.3.2.1, 7.3.2.2, 7.3.3, 7.4.3 (`frame_num`), and 9.1 (exponential-Golomb codes).
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

_START = re.compile(rb"\x00\x00\x01")
_HEAD_BYTES = 64
_INTRA_SLICES = (2, 4)  # I and SI, modulo 5
_MOST_MISSING, _MOST_DOUBTFUL = 30, 8
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


@dataclass(frozen=True, slots=True)
class _Picture:
    """Where a picture stands among those that others refer to.

    Attributes:
        reference: Number of the newest reference picture once this one has come.
        period: The numbers are counted modulo this.
        begins: Whether it may begin a stream, and follow anything.
        number: The number in its header.
        is_reference: Whether others refer to it.
    """

    reference: int
    period: int
    begins: bool
    number: int
    is_reference: bool

    def missing_after(self, before: _Picture) -> int:
        """How many reference pictures are missing between another picture and this one."""
        if self.number == before.reference:
            return 0
        return (self.number - before.reference - 1) % self.period


class FrameNumbers:
    """Counts pictures that others refer to and that never came.

    A number that does not follow is believed when the next picture follows it: flipped bits and packets that
    changed places are not missing pictures. What cannot be told in a numbering of so few bits counts as one.
    """

    def __init__(self) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of_picture: dict[int, int] = {}
        self._last: _Picture | None = None
        self._doubtful: deque[_Picture] = deque(maxlen=_MOST_DOUBTFUL)

    def missing_before(self, packet: bytes) -> int:
        """How many more reference pictures are known to be missing, now that this packet has come.

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
                    return self._add(self._picture(unit, kind == _IDR_SLICE))
            except (ValueError, KeyError):
                return 0  # damaged in another way, which the decoder tells
        return 0

    def _picture(self, unit: bytes, is_idr: bool) -> _Picture:
        bits = _Bits(unit)
        bits.golomb()  # first macroblock
        is_intra = bits.golomb() % 5 in _INTRA_SLICES
        sequence = self._sequences[self._sequence_of_picture[bits.golomb()]]
        if sequence.separate_planes:
            bits.take(2)
        number, period = bits.take(sequence.number_bits), 1 << sequence.number_bits
        is_reference = bool(unit[0] & 0x60)
        begins = is_idr or is_intra or sequence.gaps_allowed
        # A picture to which none refers has the number that the next reference will have.
        again = self._last is not None and number == self._last.reference
        reference = number if is_reference or again else (number - 1) % period
        return _Picture(reference, period, begins, number, is_reference)

    def _add(self, picture: _Picture) -> int:
        last, doubtful = self._last, list(self._doubtful)
        if last is None or picture.begins or picture.missing_after(last) == 0:
            self._doubtful.clear()
            # Two that changed places: the one that came too early follows this one.
            changed_places = [early for early in doubtful if early.missing_after(picture) == 0]
            self._last = changed_places[0] if changed_places else picture
            return 0
        if not doubtful or picture.missing_after(doubtful[-1]) > 0:
            self._doubtful.append(picture)
            return 0
        self._doubtful.clear()
        self._last = picture
        missing = doubtful[-1].missing_after(last)
        if missing > min(picture.period // 2, _MOST_MISSING):
            return 1
        return max(0, missing - sum(between.is_reference for between in doubtful[:-1]))


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
