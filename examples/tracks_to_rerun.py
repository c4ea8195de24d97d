"""A video and its tracks in Rerun: `python tracks_to_rerun.py VIDEO [FILE.rrd]`; needs `.[rerun]`."""

from __future__ import annotations

import sys

import numpy as np
import rerun as rr

import realtime_kp as rk


def main(video: str, file: str = "") -> None:
    """Log pictures, tracks and how many there are; without a file a viewer opens."""
    rr.init("tracks", spawn=not file)
    if file:
        rr.save(file)
    for result in rk.track(video):
        rr.set_time("frame", sequence=result.frame.index)
        rr.set_time("time", timestamp=np.datetime64(result.frame.time_ns, "ns"))
        tracks = result.tracks.seen_confirmed
        rgb = np.ascontiguousarray(result.frame.image_bgr[..., ::-1])
        rr.log("video", rr.Image(rgb).compress(jpeg_quality=80))
        rr.log("number", rr.Scalars(float(len(tracks))))
        # In Rerun the corner of a picture is at (0, 0), here the centre of its first pixel.
        if len(tracks) == 0:
            continue
        rr.log("video/tracks", rr.Points2D(tracks.xy + 0.5, radii=2.0), rr.AnyValues(track_id=tracks.ids))


if __name__ == "__main__":
    main(*sys.argv[1:])
