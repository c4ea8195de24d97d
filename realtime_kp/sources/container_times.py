"""End of the video in a file, by its headers."""

from __future__ import annotations

import re

import av

from realtime_kp.sources.container import Container

_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def end_s(opened: Container) -> float | None:
    """End of the last video frame on the clock of the file; None where no header tells.

    The duration of a container is that of its longest stream: audio may be longer than the video.
    """
    container, stream = opened.container, opened.stream
    if container.format.name == "avi" and stream.frames and stream.time_base is not None:
        # FFmpeg ends an AVI that is cut short where its data ends; the header counts in ticks.
        return float(stream.frames * stream.time_base)
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    tag = _TAG.match(stream.metadata.get("DURATION", ""))
    if tag is not None:  # Matroska's
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is None or len(container.streams) > 1:
        return None
    return (container.start_time or 0) / av.time_base + container.duration / av.time_base
