"""Lists of times in files, and the names of pictures beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from realtime_kp.errors import SourceError

LIST_SUFFIXES = frozenset({".txt", ".csv"})
_UNITS_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_NAMED_UNIT = re.compile(r"\[(ns|us|µs|ms|s)\]|time(?:stamp)?_(ns|us|ms|s)\b", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(\.\d+)?")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
# Whole numbers without a unit: by these many digits are they nanoseconds, microseconds or milliseconds since
# 1970; shorter ones are seconds.
_DIGITS = ((17, "ns"), (14, "us"), (12, "ms"))
_LONGEST = 2**62
_MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list.

    Attributes:
        time_ns: Its time, nanoseconds.
        name: The picture that it names, as it is written; None where it is a time alone.
    """

    time_ns: int
    name: str | None


def read_list(path: Path) -> list[Entry]:
    """Read a list of times: one in each line, with the name of a picture or alone.

    Times are numbers (`1403636579763555584`, `1305031102.175304`, `1.036e-01`) or dates
    (`2011-09-26 13:02:25.964389445`, taken as UTC), and kept to the nanosecond. Their unit is named by a
    heading such as `#timestamp [ns],filename` or `time_s`; without one, numbers with a point or an exponent
    are seconds, and whole numbers what their length says. A comma or spaces stand between time and name; `#`
    begins a comment.

    Args:
        path: The file.

    Returns:
        The entries, in the order of the file.

    Raises:
        SourceError: It cannot be read, or a line is no such entry.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise SourceError(f"cannot read {path}: {cause}") from exc
    told: str | None = None
    entries: list[tuple[int, str, str | None]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        is_heading = not entries and _time_and_name(text) is None
        if text.startswith("#") or (is_heading and text):
            unit = _NAMED_UNIT.search(text)
            told = told if unit is None else (unit[1] or unit[2]).lower()
            if not text.startswith("#") and unit is None and "time" not in text.lower():
                raise SourceError(f"{path} is no list of times, in line {number}: {text[:60]!r}")
        elif text:
            found = _time_and_name(text)
            if found is None:
                raise SourceError(f"{path} holds no time in line {number}: {text[:60]!r}")
            entries.append((number, *found))
    if not entries:
        raise SourceError(f"{path} holds no times")
    scale = _UNITS_NS[told or _usual_unit([time for _, time, _ in entries])]
    return [Entry(_nanoseconds(path, number, time, scale), name) for number, time, name in entries]


def _time_and_name(text: str) -> tuple[str, str | None] | None:
    """A line's time and the name beside it, in either order; None where it holds no time."""
    date = _DATE.match(text)
    if date is not None:
        rest = text[date.end() :].strip(" \t,")
        return date[0], rest or None
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
    else:
        # Names may hold spaces.
        parts = text.split(None, 1)
        parts = parts if parts and _NUMBER.fullmatch(parts[0]) else text.rsplit(None, 1)
    first, last = (*parts, "", "")[:2]
    if _NUMBER.fullmatch(first):
        return first, last or None
    return (last, first) if _NUMBER.fullmatch(last) else None


def _usual_unit(times: list[str]) -> str:
    numbers = [time for time in times if not _DATE.match(time)]
    if not all(number.lstrip("+-").isdecimal() for number in numbers):
        return "s"
    longest = max((len(number.lstrip("+-")) for number in numbers), default=0)
    return next((unit for digits, unit in _DIGITS if longest >= digits), "s")


def _nanoseconds(path: Path, number: int, time: str, scale: int) -> int:
    date = _DATE.fullmatch(time)
    try:
        if date is None:
            exact = Decimal(time) * scale
        else:
            since = datetime.fromisoformat(date[1]).replace(tzinfo=UTC)
            exact = (Decimal(int(since.timestamp())) + Decimal(date[2] or 0)) * _UNITS_NS["s"]
        found = int(exact.to_integral_value()) if exact.adjusted() < _MOST_DIGITS else _LONGEST
    except (ValueError, ArithmeticError) as exc:
        raise SourceError(f"{path} holds no time in line {number}: {time!r}") from exc
    if abs(found) >= _LONGEST:
        raise SourceError(f"{path} holds a time in line {number} that is too large: {time!r}")
    return found
