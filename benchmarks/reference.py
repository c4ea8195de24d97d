"""How exactly a reference picture is followed: photographs on a moving plane, whose corners are known.

    python -m benchmarks.reference PICTURES... [--frames 90] [--model small]

Each photograph is the reference of one clip, before the next photograph, every second time with something
that moves before it; and it is looked for in the clip of another photograph, where it is not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from realtime_kp.config import SuperPointConfig
from realtime_kp.evaluation.reference_clips import ReferenceClip
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints
from realtime_kp.reference import ReferenceFinder, ReferencePicture, describe
from realtime_kp.sources import list_pictures, read_picture
from realtime_kp.tracking import Tracker

SIZE_WH = (640, 480)


@dataclass(frozen=True, slots=True)
class Found:
    """Results of one clip.

    Attributes:
        errors_px: Largest error of a corner, by frame; infinite where the picture was not found.
        false: Number of frames of another clip in which it was reported.
    """

    errors_px: NDArray[np.float64]
    false: int


def follow(
    picture: NDArray[np.uint8],
    clip: ReferenceClip,
    find: Callable[[NDArray[np.uint8]], Keypoints],
    frames: int,
) -> NDArray[np.float64]:
    """Largest error of a corner of a picture in each frame of a clip; infinite where it is not found."""
    finder, tracker = ReferenceFinder(), Tracker()
    finder.use(describe(ReferencePicture(picture, "picture"), SIZE_WH, find))
    errors = []
    for index in range(frames):
        frame = Frame(index, index / 30, 0.0, clip.render(index))
        keypoints = find(frame.image_bgr)
        pose = finder.update(frame, tracker.update(frame, keypoints), keypoints)
        corners = None if pose is None else pose.corners_xy
        gap = np.inf if corners is None else np.linalg.norm(corners - clip.corners_xy(index), axis=1).max()
        errors.append(float(gap))
    return np.array(errors)


def measure(
    pictures: list[NDArray[np.uint8]], find: Callable[[NDArray[np.uint8]], Keypoints], frames: int
) -> list[Found]:
    """Follow each picture through its clip, and look for it in that of another one."""
    results = []
    for number, picture in enumerate(pictures):
        behind, other = (pictures[(number + step) % len(pictures)] for step in (1, 2))
        clip = ReferenceClip(picture, behind, size_wh=SIZE_WH, occluder=number % 2 == 1, seed=number)
        elsewhere = ReferenceClip(other, behind, size_wh=SIZE_WH, seed=number)
        false = (
            int(np.isfinite(follow(picture, elsewhere, find, frames // 3)).sum()) if len(pictures) > 2 else 0
        )
        results.append(Found(follow(picture, clip, find, frames), false))
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", nargs="+", help="files, folders or globs of photographs")
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--model", default="small")
    options = parser.parse_args()
    pictures = [read_picture(path) for text in options.pictures for path in list_pictures(text)]
    with SuperPoint(SuperPointConfig(model=options.model)) as superpoint:
        results = measure(pictures, superpoint, options.frames)
    errors = np.concatenate([result.errors_px for result in results])
    console = Console(highlight=False)
    console.print(f"{len(results)} clips of {options.frames} frames: corner errors")
    console.print(
        f"  median {np.median(errors):.2f} px, within 2 px in {np.mean(errors <= 2):.1%} of the frames"
    )
    console.print(f"  reported where it is not: {sum(result.false for result in results)} frames")


if __name__ == "__main__":
    main()
