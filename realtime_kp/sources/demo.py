"""The `demo` source: a generated scene with known motion, which needs neither camera nor file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote

from realtime_kp.config import parse_size
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo
from realtime_kp.sources.picture_file import read_picture
from realtime_kp.sources.scene import MOTIONS, Motion, Scene, procedural_picture

DEMO_FRAMES = 300
DEMO_FPS = 30.0
_OPTIONS = ("motion", "occluder", "flicker", "every", "seed", "size", "frames")


def is_demo_spec(spec: str) -> bool:
    """Whether a specification names the demo: `demo`, `demo:PICTURE`, `demo?options` or both."""
    return re.fullmatch(r"demo([:?].*)?", spec) is not None


@dataclass(frozen=True, slots=True)
class DemoSpec:
    """Specification `demo[:PICTURE][?motion=M&occluder=0|1&flicker=0|1&every=N&seed=N&size=WxH&frames=N]`.

    Attributes:
        picture: A photograph to move; None for the procedural picture.
        motion: Motion of the camera: handheld, fast, zoom or still.
        occluder: Whether a box crosses the view.
        flicker: Whether the light flickers.
        every: Step between the frames of the scene that are shown, which multiplies the motion.
        seed: Seed of motion, noise and procedural picture.
        size_wh: Width and height of the frames.
        frames: Number of frames; None where the command decides.
    """

    picture: Path | None = None
    motion: Motion = "handheld"
    occluder: bool = False
    flicker: bool = False
    every: int = 1
    seed: int = 0
    size_wh: tuple[int, int] = (640, 480)
    frames: int | None = None

    @classmethod
    def parse(cls, spec: str) -> DemoSpec:
        """Parse a specification.

        Raises:
            ConfigError: A key or value is invalid.
        """
        body, _, query = spec.partition("?")
        picture = unquote(body.removeprefix("demo").removeprefix(":"))
        values = dict(parse_qsl(query, keep_blank_values=True))
        unknown = set(values) - set(_OPTIONS)
        if unknown:
            raise ConfigError(f"demo has no {sorted(unknown)[0]!r}; it takes {', '.join(_OPTIONS)}")
        motion = next((m for m in MOTIONS if m == values.get("motion", "handheld")), None)
        if motion is None:
            raise ConfigError(f"demo's motion must be one of {', '.join(MOTIONS)}, got {values['motion']!r}")
        frames = values.get("frames")
        return cls(
            picture=Path(picture) if picture else None,
            motion=motion,
            occluder=_switch(values.get("occluder", "0"), "occluder"),
            flicker=_switch(values.get("flicker", "0"), "flicker"),
            every=_whole(values.get("every", "1"), "every", least=1),
            seed=_whole(values.get("seed", "0"), "seed", least=0),
            size_wh=parse_size(values.get("size", "640x480"), "demo's size"),
            frames=None if frames is None else _whole(frames, "frames", least=1),
        )

    def scene(self) -> Scene:
        """Create the scene.

        Raises:
            SourceError: The picture cannot be read.
        """
        if self.picture is None:
            width, height = self.size_wh
            picture = procedural_picture((round(1.45 * width), round(1.45 * height)), self.seed)
        else:
            picture = read_picture(self.picture)
        return Scene(picture, self.size_wh, self.motion, self.occluder, self.seed, self.flicker)


class DemoSource:
    """Frames of a `Scene` at 30 per second, `frames` of them or endless."""

    def __init__(self, spec: DemoSpec, frames: int | None = DEMO_FRAMES, start_s: float = 0.0) -> None:
        self.spec = spec
        self.damage: str | None = None
        self._frames = frames if spec.frames is None else spec.frames
        self._start = round(start_s * DEMO_FPS)
        self._scene: Scene | None = None

    @property
    def info(self) -> SourceInfo:
        """Properties of the source."""
        count = None if self._frames is None else max(0, self._frames - self._start)
        return SourceInfo("demo", self.spec.size_wh, DEMO_FPS, count, live=False)

    @property
    def scene(self) -> Scene:
        """The scene, for its ground truth; created on first use."""
        if self._scene is None:
            self._scene = self.spec.scene()
        return self._scene

    def __enter__(self) -> Self:
        self.scene  # noqa: B018 - making it is what opening means here
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scene = None

    def __iter__(self) -> Iterator[Frame]:
        number = self._start
        if self._frames is not None and number >= self._frames:
            raise SourceError(f"demo holds no frames after second {number / DEMO_FPS:g}")
        while self._frames is None or number < self._frames:
            image = self.scene.render(number * self.spec.every)
            yield Frame(number - self._start, number / DEMO_FPS, time.perf_counter(), image)
            number += 1


def _switch(text: str, what: str) -> bool:
    if text not in ("0", "1"):
        raise ConfigError(f"demo's {what} must be 0 or 1, got {text!r}")
    return text == "1"


def _whole(text: str, what: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ConfigError(f"demo's {what} must be a whole number of at least {least}, got {text!r}")
    return int(text)
