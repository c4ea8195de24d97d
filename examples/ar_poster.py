"""A picture laid onto a poster: `python ar_poster.py VIDEO POSTER PICTURE OUT.mp4`.

POSTER is the poster alone, as a picture; wherever it is in the video, PICTURE covers it.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray

import realtime_kp as rk


def main(video: str, poster: str, picture: str, out: str) -> None:
    """Warp the picture into every frame in which the poster is found."""
    height, width = read(poster).shape[:2]
    overlay = cv2.resize(read(picture), (width, height), interpolation=cv2.INTER_AREA)
    writer, found = None, 0
    try:
        for result in rk.track(video, reference=poster):
            frame = result.frame
            image = frame.image_bgr.copy()
            pose = result.reference
            if pose is not None and pose.homography is not None:
                found += 1
                warped = cv2.warpPerspective(overlay, pose.homography, frame.size_wh)
                covered = cv2.warpPerspective(
                    np.full((height, width), 255, np.uint8), pose.homography, frame.size_wh
                )
                image[covered > 127] = warped[covered > 127]
            if writer is None:
                writer = cv2.VideoWriter(out, cv2.VideoWriter.fourcc(*"mp4v"), 30, frame.size_wh)
            writer.write(image)
    finally:
        if writer is not None:
            writer.release()
    print(f"found in {found} frames: {out}")


def read(path: str) -> NDArray[np.uint8]:
    """A picture, BGR."""
    image = cv2.imread(path)
    if image is None:
        raise SystemExit(f"{path} is no picture")
    return np.asarray(image, np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
