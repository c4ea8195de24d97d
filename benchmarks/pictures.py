"""The moving picture and the drawings of the documentation, from the test video and the demo's room.

    python -m benchmarks.pictures [--out docs] [--frames 90] [--model small]

`tracks.webp` shows tracks on a box that is turned by hand, beside those in a room with depth; the room is
grey, and brighter where it is near. `how-*.png` explain the tracker by what it did in the same frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from rich.console import Console

from benchmarks.how_it_works.alignment import draw_alignment
from benchmarks.how_it_works.association import draw_association
from benchmarks.how_it_works.choice import dimmed
from benchmarks.how_it_works.occlusion import draw_return
from benchmarks.how_it_works.prediction import draw_prediction
from benchmarks.how_it_works.recording import Moment, follow
from realtime_kp.config import Box, SuperPointConfig
from realtime_kp.features import SuperPoint
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.render import Look, render
from realtime_kp.sources.quads import cast_rays
from realtime_kp.sources.room import RoomScene

Image = NDArray[np.uint8]

BOX = Path(__file__).parent.parent / "tests" / "data" / "box.mp4"
ROOM = "demo:room?motion=walk"
HALF_WH = (420, 315)
_BOX_PART, _WHOLE = (80, 0, 480, 360), (0, 0, 640, 480)
_SHOWN_FRAMES, _STEP_MS = 60, 66
_QUALITY = 70
_FEW_KEYPOINTS, _FEW_FRAMES = 150, 20  # a drawing of all of them would be crowded
_GRID_PX = 4
_BRIGHT_PER_M = 0.26  # inverse depth of what keeps its brightness


class ShadedRoom:
    """The room of the demo in grey, brighter where it is near: what is where is seen at once."""

    def __init__(self) -> None:
        self._scene = RoomScene()

    def __call__(self, moment: Moment) -> Image:
        """The picture of a frame: `(H, W, 3) uint8`."""
        width, height = self._scene.size_wh
        xs, ys = (np.arange((_GRID_PX - 1) / 2, side, _GRID_PX) for side in (width, height))
        grid = np.stack(np.meshgrid(xs, ys), axis=-1)
        _, _, inverse_depth = cast_rays(self._scene._maps(moment.frame.index, ys), grid.reshape(-1, 2))
        near = cv2.resize(inverse_depth.reshape(grid.shape[:2]).astype(np.float32), (width, height))
        light = np.clip(near / _BRIGHT_PER_M, 0, 1.2)[..., None]
        grey = cv2.cvtColor(moment.frame.image_bgr, cv2.COLOR_BGR2GRAY)[..., None].astype(np.float32)
        return np.asarray(np.clip(grey * light, 0, 255).repeat(3, axis=2), np.uint8)


def drawn(moment: Moment, image_bgr: Image, part: Box) -> Image:
    """A part of a frame with its tracks, a half of the animation: `(H, W, 3) uint8`, RGB.

    Args:
        moment: The frame.
        image_bgr: What to draw on.
        part: Left, top, width and height, pixels of the frame.
    """
    left, top, width, height = part
    corner, scale = np.array([left, top], np.float32), np.float32(HALF_WH[0] / width)
    cut = image_bgr[top : top + height, left : left + width]
    small = cv2.resize(cut, HALF_WH, interpolation=cv2.INTER_AREA)
    places = {
        name: (getattr(moment.tracks, name) - corner) * scale for name in ("xy", "trails_xy", "born_xy")
    }
    frame = replace(moment.frame, image_bgr=np.asarray(small, np.uint8))
    tracked = TrackedFrame(frame, None, replace(moment.tracks, **places))
    return render(tracked, {"tracks"}, look=Look(colour="birth", trails="fade"))[..., ::-1]


def save_animation(path: Path, sides: Sequence[Sequence[Image]]) -> None:
    """Write pictures, those of all sides beside each other, as an endless animation."""
    pictures = [Pillow.fromarray(np.hstack(images)) for images in zip(*sides, strict=True)]
    first, *others = pictures
    first.save(
        path,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=_STEP_MS,
        loop=0,
        quality=_QUALITY,
        method=4,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all pictures, and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--frames", type=int, default=90, help="of each clip")
    parser.add_argument("--model", default="small")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with SuperPoint(SuperPointConfig(model=options.model)) as superpoint:
        box = follow(str(BOX), superpoint, options.frames)
        room = follow(ROOM, superpoint, options.frames)
    with SuperPoint(SuperPointConfig(model=options.model, max_keypoints=_FEW_KEYPOINTS)) as superpoint:
        few = follow(str(BOX), superpoint, min(options.frames, _FEW_FRAMES))
    shaded = ShadedRoom()
    count = min(_SHOWN_FRAMES, len(box), len(room))
    left = [drawn(moment, dimmed(moment.frame.image_bgr), _BOX_PART) for moment in box[-count:]]
    right = [drawn(moment, shaded(moment), _WHOLE) for moment in room[-count:]]
    save_animation(options.out / "tracks.webp", (left, right))
    sheets = {
        "prediction": draw_prediction(room, shaded),
        "alignment": draw_alignment(box),
        "association": draw_association(few),
        "return": draw_return(room, shaded),
    }
    for name, sheet in sheets.items():
        sheet.save(options.out / f"how-{name}.png")
    console = Console(highlight=False)
    for path in [options.out / "tracks.webp", *(options.out / f"how-{name}.png" for name in sheets)]:
        console.print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
