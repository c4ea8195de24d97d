"""Files that end before their own headers say: the sizes of the outermost parts of containers.

FFmpeg reads such files to their end without a word. Sources: ISO/IEC 14496-12, 4.2 (boxes); RFC 8794, 4 and 6
(EBML: variable-size integers, elements of unknown size); Microsoft, AVI RIFF File Reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx"})
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MOST_PARTS = 100_000


def missing_bytes(path: Path) -> int:
    """How many bytes a file lacks of what its headers declare; 0 where none, or where nothing tells.

    Args:
        path: An MP4, MOV, AVI, Matroska or WebM file; of others nothing is known.
    """
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            return max(0, _declared_end(file, size) - size)
    except OSError:
        return 0


def _declared_end(file: BinaryIO, size: int) -> int:
    start = file.read(12)
    if start[4:8] in _BOXES:
        return _end_of_boxes(file, size)
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return _end_of_riff(file, size)
    if start[:4] == _EBML:
        return _end_of_segment(file)
    return 0


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    place = 0
    for _ in range(_MOST_PARTS):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            # A box whose head is cut off is one of 8 bytes at least.
            return place if place >= size else place + 8
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: up to the end of the file
            return 0
        place += length
        if place >= size:
            return place
    return 0


def _end_of_riff(file: BinaryIO, size: int) -> int:
    place = 0
    for _ in range(_MOST_PARTS):  # OpenDML: several parts behind each other
        file.seek(place)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        # Encoders that could not seek back leave 0 or the largest number.
        if head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            return 0
        place += 8 + length
        if place >= size:
            return place
    return 0


def _end_of_segment(file: BinaryIO) -> int:
    file.seek(4)
    head = _variable_size(file)
    if head is None:
        return 0
    file.seek(head, 1)
    if file.read(4) != _SEGMENT:
        return 0
    length = _variable_size(file)
    return 0 if length is None else file.tell() + length


def _variable_size(file: BinaryIO) -> int | None:
    """A size of 1 to 8 bytes; None where it is unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    count = 9 - first[0].bit_length()
    rest = file.read(count - 1)
    bits = 7 * count
    value = int.from_bytes(first + rest, "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 or len(rest) < count - 1 else value
