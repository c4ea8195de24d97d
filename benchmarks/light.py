"""What equalised brightness gains in bad and changing light: clips of known motion, with and without it.

    python -m benchmarks.light [PICTURES...] [--frames 60] [--model small]

Each photograph (the demo's procedural picture without any) makes a clip of 640x480 under handheld motion; its
light is then changed: gamma 0.4 and 2.5, a dark room in which a lamp goes on after a third of the clip, and
flicker with bands as of a lamp on the mains. Noise of the camera is added after the light was changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from realtime_kp.config import SuperPointConfig
from realtime_kp.evaluation.track_accuracy import TrackAccuracy, TrackRecord
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints
from realtime_kp.sources import DemoSpec, Equaliser, KnownScene, list_pictures
from realtime_kp.tracking import Tracker

Image = NDArray[np.uint8]
Light = Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]
Find = Callable[[Image], Keypoints]

_NOISE = 2.0
_LAMP_REACH = 0.45  # of the width
_DARK, _BRIGHT = 0.08, 1.0
_FLICKER, _BAND_ROWS = 0.35, 180


def ordinary(values: NDArray[np.float32], index: int, frames: int) -> NDArray[np.float32]:
    """The light as it is; `values` are `(H, W, 3)`, 0 to 1, here and below."""
    return values


def gamma(power: float) -> Light:
    """A gamma curve."""
    return lambda values, index, frames: np.power(values, np.float32(power))


def lamp(values: NDArray[np.float32], index: int, frames: int) -> NDArray[np.float32]:
    """A dark room; after a third of the clip a lamp goes on, which lights one side of it."""
    if index < frames // 3:
        return values * np.float32(_DARK)
    height, width = values.shape[:2]
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - 0.25 * width, y - 0.4 * height) / (_LAMP_REACH * width)
    lit = _DARK + (_BRIGHT - _DARK) * np.exp(-(distance**2))
    return np.asarray(values * lit[..., None], np.float32)


def flicker(values: NDArray[np.float32], index: int, frames: int) -> NDArray[np.float32]:
    """Light that changes its brightness from frame to frame, in bands that wander down the picture."""
    rows = np.arange(values.shape[0])
    bands = 1 + _FLICKER * np.sin(2 * np.pi * (rows / _BAND_ROWS + 0.37 * index)).astype(np.float32)
    jump = 1 + _FLICKER * np.sin(2.4 * index)
    return np.asarray(values * np.float32(0.55 * jump) * bands[:, None, None], np.float32)


LIGHTS: Mapping[str, Light] = {
    "ordinary": ordinary,
    "gamma 0.4": gamma(0.4),
    "gamma 2.5": gamma(2.5),
    "a lamp goes on": lamp,
    "flicker": flicker,
}


@dataclass(frozen=True, slots=True)
class LitScene:
    """A scene in other light.

    Attributes:
        scene: The scene.
        light: What changes it.
        frames: Length of the clip.
    """

    scene: KnownScene
    light: Light
    frames: int

    def render(self, index: int) -> Image:
        """Frame `index`: `(H, W, 3) uint8`."""
        values = np.asarray(self.scene.render(index) / 255, np.float32)
        noise = np.random.default_rng(index).normal(0, _NOISE, values.shape)
        lit = np.clip(self.light(values, index, self.frames), 0, 1)
        return np.asarray(np.clip(np.rint(255 * lit + noise), 0, 255), np.uint8)


def follow(scene: LitScene, find: Find, *, equalised: bool) -> TrackAccuracy:
    """Accuracy of the hybrid tracker on a clip."""
    tracker, record, equaliser = Tracker(), TrackRecord(scene.scene, 1), Equaliser()
    for index in range(scene.frames):
        frame = Frame(index, index / 30, 0.0, scene.render(index))
        frame = equaliser.on(frame) if equalised else frame
        record.add(tracker.update(frame, find(frame.analysed_bgr)))
    return record.accuracy(record.points())


def measure(
    specs: Sequence[DemoSpec], find: Find, frames: int
) -> dict[tuple[str, bool], list[TrackAccuracy]]:
    """Accuracy by kind of light and whether brightness was equalised, one for each clip."""
    return {
        (name, equalised): [
            follow(LitScene(spec.scene(), light, frames), find, equalised=equalised) for spec in specs
        ]
        for name, light in LIGHTS.items()
        for equalised in (False, True)
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", nargs="*", help="files, folders or globs of photographs")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--model", default="small")
    options = parser.parse_args()
    paths = [path for text in options.pictures for path in list_pictures(text)]
    specs = [DemoSpec(picture=path, seed=seed) for seed, path in enumerate(paths)] or [DemoSpec()]
    with SuperPoint(SuperPointConfig(model=options.model)) as superpoint:
        results = measure(specs, superpoint, options.frames)
    table = Table(title=f"{len(specs)} clips of {options.frames} frames; plain / equalised")
    for column in ("light", "mean length", "right in a frame", "alive and right, +30", "Jaccard"):
        table.add_column(column)
    for name in LIGHTS:
        both = [results[name, equalised] for equalised in (False, True)]
        cells = []
        for field, form in (
            ("mean_length", ".1f"),
            ("correct_per_frame", ".0f"),
            ("survived", ".1%"),
            ("tap_average_jaccard", ".3f"),
        ):
            means = (np.mean([getattr(one, field) for one in side]) for side in both)
            cells.append(" / ".join(format(mean, form) for mean in means))
        table.add_row(name, *cells)
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
