"""Start and end of the video in a file, by its headers."""

from __future__ import annotations

import re

import av

_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def begin_s(container: av.container.InputContainer) -> float:
    """Start time of the container: often 1.4 s for MPEG transport streams, hours for one from a broadcast."""
    return max(0, container.start_time or 0) / av.time_base


def end_s(container: av.container.InputContainer) -> float | None:
    """End of the last video frame; None where no header tells.

    The duration of a container is that of its longest stream: audio may be longer than the video.
    """
    stream = container.streams.video[0]
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    tag = _TAG.match(stream.metadata.get("DURATION", ""))
    if tag is not None:  # Matroska's
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is None or len(container.streams) > 1:
        return None
    return begin_s(container) + container.duration / av.time_base
