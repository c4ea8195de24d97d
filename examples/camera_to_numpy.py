"""Tracks as NumPy arrays: `python camera_to_numpy.py [SOURCE] [FRAMES]`; a camera index, or a file."""

from __future__ import annotations

import sys

import numpy as np

import realtime_kp as rk


def main(source: str = "0", frames: str = "300") -> None:
    """Print how many tracks there are in each frame, and how fast the scene moves."""
    for result in rk.track(source, max_frames=int(frames)):
        tracks = result.tracks.confirmed
        # (N,) ids, (N, 2) pixels, and (N, L, 2) where each track was in the frames before, NaN where unknown.
        ids, xy, trails = tracks.ids, tracks.xy, tracks.trails_xy
        steps = np.linalg.norm(trails[:, -1] - trails[:, -2], axis=1)
        steps = steps[np.isfinite(steps)]
        speed = float(np.median(steps)) if len(steps) else 0.0
        middle = xy.mean(axis=0).round(1) if len(ids) else "-"
        print(f"{result.frame.time_s:7.3f} s  {len(ids):4d} tracks  {speed:5.2f} px a frame  middle {middle}")


if __name__ == "__main__":
    main(*sys.argv[1:])
