"""The frames of a clip's video, for formats that keep pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from realtime_kp.errors import SourceError
from realtime_kp.exports.base import Clip
from realtime_kp.frame import Frame
from realtime_kp.sources import open_source


def frames_of(clip: Clip, wanted: Iterable[int]) -> Iterator[Frame]:
    """Some frames of the video of a clip, in order; none without a video.

    Args:
        clip: The clip.
        wanted: Their numbers.

    Raises:
        SourceError: The video cannot be read, has frames of another size, or lacks one of them.
    """
    missing = set(wanted)
    if clip.video is None or not missing:
        return
    last = max(missing)
    with open_source(clip.video) as source:
        for frame in source:
            if frame.size_wh != clip.size_wh:
                had, got = ("x".join(map(str, size)) for size in (clip.size_wh, frame.size_wh))
                raise SourceError(f"{clip.video} has frames of {got}, the tracks are of frames of {had}")
            if frame.index in missing:
                missing.discard(frame.index)
                yield frame
            if frame.index >= last:
                break
    if missing:
        raise SourceError(f"{clip.video} has no frame {min(missing)}: the tracks are of another video")
