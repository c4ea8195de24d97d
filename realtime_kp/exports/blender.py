"""A Python script that fills the tracks of a movie clip in Blender.

Normalised coordinates from the lower left corner of the picture, y up, so that centres of pixels are at
halves of pixels; the first frame of a clip is 1 (`bpy.types.MovieTrackingMarkers` in Blender's API
documentation, `BKE_tracking` in its source). Run it in the text editor with the clip loaded, or as
`blender --python FILE -- CLIP`. A track that is lost for a while is disabled in between.
"""

from __future__ import annotations

import json
from typing import BinaryIO

import numpy as np

from realtime_kp.exports.base import Clip, TrackPoints, from_bottom_left, runs

_FIRST_FRAME = 1
_HEAD = '''"""Fills the tracks of a movie clip; written by realtime-kp."""

import json
import sys

import bpy

NAME = {name}
SIZE = {size}
# Of each track: name, frames, x and y in normalised coordinates, frames from which on it is not seen.
TRACKS = """
'''
_TAIL = '''"""


def movie_clip():
    """The clip that the command line names, else the one of that name, else the first one of its size."""
    if "--" in sys.argv and len(sys.argv) > sys.argv.index("--") + 1:
        return bpy.data.movieclips.load(sys.argv[sys.argv.index("--") + 1])
    clips = list(bpy.data.movieclips)
    named = [clip for clip in clips if clip.name == NAME]
    named = named or [clip for clip in clips if tuple(clip.size) == SIZE]
    if not named:
        raise RuntimeError("load the movie clip first: Movie Clip Editor, Open")
    return named[0]


def fill(clip):
    """Add all tracks to a clip."""
    for line in TRACKS.strip().splitlines():
        name, frames, x, y, unseen = json.loads(line)
        track = clip.tracking.tracks.new(name=name, frame=frames[0])
        for frame, place in zip(frames, zip(x, y)):
            track.markers.insert_frame(frame, co=place)
        for frame in unseen:
            last = track.markers.find_frame(frame - 1)
            track.markers.insert_frame(frame, co=tuple(last.co)).mute = True


fill(movie_clip())
'''


class BlenderExport:
    """Writes a `.py` file."""

    suffix = ".py"

    def __init__(self) -> None:
        self._size, self._every = np.ones(2), 1

    def begin(self, clip: Clip, count: int, out: BinaryIO) -> None:
        """Write the script up to its data."""
        self._size, self._every = np.array(clip.size_wh, np.float64), clip.every
        name = clip.name.replace("\\", "/").rsplit("/", 1)[-1]
        out.write(_HEAD.format(name=json.dumps(name), size=clip.size_wh).encode())

    def track(self, points: TrackPoints, out: BinaryIO) -> None:
        """Write the data of a track."""
        places = from_bottom_left(points.xy, int(self._size[1])) / self._size
        x, y = places.round(7).T.tolist()
        unseen = [last + 1 + _FIRST_FRAME for _, last in runs(points.frames, self._every)]
        values = [points.name, (points.frames + _FIRST_FRAME).tolist(), x, y, unseen]
        # Within three quotes, backslashes would be taken for escapes.
        out.write(json.dumps(values).replace("\\", "\\\\").encode() + b"\n")

    def end(self, out: BinaryIO) -> None:
        """Write what fills the clip."""
        out.write(_TAIL.encode())
