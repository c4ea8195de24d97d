"""The pictures of the frames that count, read from the video of a clip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SourceError
from realtime_kp.exports.base import Clip
from realtime_kp.frame import Frame
from realtime_kp.sources import open_source


def clip_pictures(clip: Clip, numbers: NDArray[np.int64]) -> Iterator[Frame]:
    """Some frames of a clip's video.

    Args:
        clip: A clip with a video.
        numbers: `(N,)`, which frames, ascending.

    Raises:
        SourceError: The video cannot be read, its frames have another size, or it lacks one of them.
    """
    assert clip.video is not None
    wanted = iter(numbers.tolist())
    missing = next(wanted, None)
    for frame in _frames_until(clip, int(numbers[-1])):
        if frame.size_wh != clip.size_wh:
            had, got = ("x".join(map(str, size)) for size in (clip.size_wh, frame.size_wh))
            raise SourceError(f"{clip.video} has frames of {got}, the tracks are of frames of {had}")
        # Numbers of pictures that are not there stay free.
        while missing is not None and missing < frame.index:
            missing = next(wanted, None)
        if frame.index == missing:
            yield frame
            missing = next(wanted, None)
    if missing is not None:
        raise SourceError(f"{clip.video} has no frame {missing}: the tracks are of another video")


def counted_pictures(clip: Clip) -> Iterator[tuple[int, NDArray[np.uint8] | None]]:
    """Numbers of the frames that count, ascending, with their pictures where there is a video.

    Raises:
        SourceError: The video cannot be read, its frames have another size, or it lacks one of them.
    """
    if clip.video is None:
        yield from ((number, None) for number in clip.counted.tolist())
        return
    for frame in clip_pictures(clip, clip.counted):
        yield frame.index, frame.image_bgr


def _frames_until(clip: Clip, last: int) -> Iterator[Frame]:
    assert clip.video is not None
    with open_source(clip.video, start_s=clip.start_s) as source:
        for frame in source:
            yield frame
            if frame.index >= last:
                return
