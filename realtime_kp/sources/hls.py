"""Local HLS playlists: which of them may be opened (RFC 8216)."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from realtime_kp.errors import SourceError

HLS_FORMATS = "hls,aac,mp3,webvtt"  # what FFmpeg needs beside the formats of the segments
_LARGEST_BYTES = 10_000_000
_DEEPEST = 2  # a master playlist, and those that it names
_URI = re.compile(r'URI="([^"]*)"')


def is_hls(path: Path) -> bool:
    """Whether a file is an HLS playlist by its name."""
    return path.suffix.lower() == ".m3u8"


def check_hls(path: Path, depth: int = 1) -> int:
    """Check that a playlist names nothing but files below its own folder; how many of them are missing.

    Whoever sends a playlist could otherwise have any file, or any address of the network, read.

    Args:
        path: The playlist.
        depth: How many playlists deep it is.

    Raises:
        SourceError: It cannot be read, is no playlist, or names something else, or nothing.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read(_LARGEST_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise SourceError(f"cannot read the playlist {path}: {cause}") from exc
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise SourceError(f"{path} is no playlist: it does not begin with #EXTM3U")
    named = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    keyed = [uri for line in lines if line.startswith("#") for uri in _URI.findall(line)]
    if not named:
        raise SourceError(f"the playlist {path} names no segments")
    missing = 0
    for name in (*named, *keyed):
        place = PurePosixPath(name)
        if ":" in name or place.is_absolute() or ".." in place.parts or "\\" in name:
            raise SourceError(f"the playlist {path} names {name!r}, which is not a file below its folder")
        file = path.parent / name
        if is_hls(file) and depth >= _DEEPEST:
            raise SourceError(f"the playlist {path} names another playlist, {name!r}, which is not followed")
        missing += check_hls(file, depth + 1) if is_hls(file) and file.exists() else not file.exists()
    return missing
