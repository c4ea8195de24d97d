"""What a specification of a source names."""

from __future__ import annotations

import logging
import os
import re
from enum import Enum
from pathlib import Path

from realtime_kp.errors import SourceError
from realtime_kp.sources.demo import is_demo_spec
from realtime_kp.sources.moving_picture import is_moving_picture
from realtime_kp.sources.picture_file import is_picture_file
from realtime_kp.sources.pipe import STANDARD_INPUT, is_pipe
from realtime_kp.sources.timed_pictures import is_picture_list

log = logging.getLogger(__name__)

BROWSER = "browser"
STREAM_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https")
_GLOB_CHARACTERS = re.compile(r"[*?\[]")


class SourceKind(Enum):
    """Kinds of sources."""

    DEMO = "demo"
    CAMERA = "camera"
    STREAM = "stream"
    FOLDER = "folder of pictures"
    GLOB = "glob of pictures"
    LIST = "list of pictures"
    PICTURE = "picture"
    MOVING_PICTURE = "moving picture"
    VIDEO = "video file"
    PIPE = "pipe"
    BROWSER = "camera of a visitor"

    @property
    def pictures(self) -> bool:
        """Whether it is a set of pictures, or one."""
        return self in (SourceKind.FOLDER, SourceKind.GLOB, SourceKind.LIST, SourceKind.PICTURE)


def source_kind(spec: str) -> SourceKind:
    """The kind of source that a specification names.

    What exists is a file or a folder, whatever characters its name holds. Only `demo`, `browser`, numbers
    and `/dev/videoN` keep their meaning beside a file of that name; `./demo` names the file.

    Args:
        spec: Specification as for `open_source`.

    Raises:
        SourceError: The scheme of the address is unknown.
    """
    if is_demo_spec(spec):
        return SourceKind.DEMO
    if spec == BROWSER:
        return SourceKind.BROWSER
    if spec.isdecimal() or re.fullmatch(r"/dev/video\d+", spec):
        return SourceKind.CAMERA
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", spec)
    if scheme is not None:
        if scheme[1].lower() not in STREAM_SCHEMES:
            allowed = ", ".join(f"{s}://" for s in STREAM_SCHEMES)
            raise SourceError(f"{scheme[1]}:// is not an address that can be opened; it takes {allowed}")
        return SourceKind.STREAM
    path = Path(spec)
    if spec in STANDARD_INPUT or is_pipe(path):
        return SourceKind.PIPE
    if os.path.isdir(path):
        return SourceKind.FOLDER
    if os.path.exists(path):
        if is_picture_list(path):
            return SourceKind.LIST
        if not is_picture_file(path):
            return SourceKind.VIDEO
        return SourceKind.MOVING_PICTURE if is_moving_picture(path) else SourceKind.PICTURE
    # A glob may have no suffix (frames/*, img_0?); a name with brackets that ends in .mp4 is a video.
    if _GLOB_CHARACTERS.search(path.name) and (
        not path.suffix or "*" in path.suffix or is_picture_file(path)
    ):
        return SourceKind.GLOB
    return SourceKind.PICTURE if is_picture_file(path) else SourceKind.VIDEO


def tell_of_hidden_file(spec: str, kind: SourceKind) -> None:
    """Say where a file or folder bears the name of the demo, or the name or number of a camera."""
    named = kind in (SourceKind.DEMO, SourceKind.CAMERA, SourceKind.BROWSER) and not os.path.isabs(spec)
    if named and os.path.lexists(spec):
        log.warning("%s is the %s here; ./%s is the file of that name", spec, kind.value, spec)


def is_picture_spec(spec: str) -> bool:
    """Whether a specification names pictures: a folder, a list, a picture, or a glob of files."""
    return source_kind(spec).pictures
