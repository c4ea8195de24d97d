"""How a camera has moved: `python two_view_pose.py VIDEO FOCAL_PX [FIRST] [LAST]`, between two frames of it.

Two views tell the rotation, and the direction of the movement but not how far it went (Hartley and Zisserman,
Multiple View Geometry, section 9.6).
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray

import realtime_kp as rk


def main(video: str, focal_px: str, first: str = "1", last: str = "20") -> None:
    """Print the rotation in degrees and the direction of the movement, x right, y down, z ahead."""
    rotation, direction, inliers = pose(video, float(focal_px), int(first), int(last))
    degrees = float(np.degrees(np.linalg.norm(cv2.Rodrigues(rotation)[0])))
    print(
        f"{inliers} tracks agree: the camera has turned by {degrees:.2f} degrees and moved along {direction}"
    )


def pose(
    video: str, focal_px: float, first: int, last: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Rotation `(3, 3)` from the first to the last frame, direction `(3,)`, and how many tracks agree."""
    places: dict[int, dict[int, NDArray[np.float32]]] = {}
    size_wh = (0, 0)
    for result in rk.track(video, max_frames=last + 1):
        if result.frame.index in (first, last):
            tracks = result.tracks.seen_confirmed
            places[result.frame.index] = dict(zip(tracks.ids.tolist(), tracks.xy, strict=True))
            size_wh = result.frame.size_wh
    absent = [index for index in (first, last) if index not in places]
    if absent:
        raise SystemExit(f"{video} has no frame {absent[0]}")
    common = sorted(places[first].keys() & places[last].keys())
    if len(common) < 8:
        raise SystemExit(f"only {len(common)} tracks are in both frames: 8 at least are needed")
    before, after = (np.array([places[index][number] for number in common]) for index in (first, last))
    centre = (size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2
    essential, mask = cv2.findEssentialMat(before, after, focal_px, centre, cv2.RANSAC, 0.999, 0.5)
    count, rotation, movement, _ = cv2.recoverPose(
        essential, before, after, focal=focal_px, pp=centre, mask=mask
    )
    # recoverPose tells where the points go; the camera goes the other way, seen from the first view.
    return rotation, (-rotation.T @ movement).ravel().round(3), count


if __name__ == "__main__":
    main(*sys.argv[1:])
