"""The `demo` source: a generated scene with known motion, which needs neither camera nor file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote

from realtime_kp.config import parse_size
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.frame import Frame
from realtime_kp.lens import read_lens
from realtime_kp.sources.base import KnownScene, SourceInfo
from realtime_kp.sources.lens_scene import LensScene
from realtime_kp.sources.picture_file import read_picture
from realtime_kp.sources.procedural import procedural_picture
from realtime_kp.sources.room import ROOM_MOTIONS, RoomMotion, RoomScene
from realtime_kp.sources.scene import MOTIONS, Motion, Scene

DEMO_FRAMES = 300
DEMO_FPS = 30.0
_OPTIONS = ("motion", "occluder", "flicker", "rolling", "blur", "every", "seed", "size", "frames", "lens")
_ROOM = "room"


def is_demo_spec(spec: str) -> bool:
    """Whether a specification names the demo: `demo`, `demo:PICTURE`, `demo?options` or both."""
    return re.fullmatch(r"demo([:?].*)?", spec) is not None


@dataclass(frozen=True, slots=True)
class DemoSpec:
    """Specification `demo[:PICTURE|:room][?motion=M&seed=N&size=WxH&…]`.

    The scene is a flat picture (`Scene`), or a room with depth (`RoomScene`) for `demo:room` and for
    `demo:PICTURE?motion=room`, where the picture is its texture.

    Attributes:
        picture: A photograph; None for procedural pictures.
        motion: Motion of the camera: handheld, fast, zoom or still before a picture, walk, forward or turn in
            a room.
        occluder: Whether a box crosses the view of a flat picture; through a room one always drives.
        flicker: Whether the light flickers, of a flat picture.
        rolling: Whether the camera has a rolling shutter, in a room.
        blur: Whether there is motion blur in a room; a flat picture always has it.
        every: Step between the frames of the scene that are shown, which multiplies the motion.
        seed: Seed of motion, noise and procedural picture.
        size_wh: Width and height of the frames.
        frames: Number of frames; None where the command decides.
        lens: File of a lens through which it is seen; None sees it undistorted.
    """

    picture: Path | None = None
    motion: Motion | RoomMotion = "handheld"
    occluder: bool = False
    flicker: bool = False
    rolling: bool = False
    blur: bool = False
    every: int = 1
    seed: int = 0
    size_wh: tuple[int, int] = (640, 480)
    frames: int | None = None
    lens: Path | None = None

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
        motion = _motion(values.get("motion"), in_room=picture == _ROOM)
        for name, in_room in (("rolling", True), ("blur", True), ("occluder", False), ("flicker", False)):
            if name in values and (motion in ROOM_MOTIONS) != in_room:
                raise ConfigError(f"demo's {name} is {'only' if in_room else 'not'} for a room: leave it out")
        frames = values.get("frames")
        return cls(
            picture=None if picture in ("", _ROOM) else Path(picture),
            motion=motion,
            occluder=_switch(values.get("occluder", "0"), "occluder"),
            flicker=_switch(values.get("flicker", "0"), "flicker"),
            rolling=_switch(values.get("rolling", "0"), "rolling"),
            blur=_switch(values.get("blur", "0"), "blur"),
            every=_whole(values.get("every", "1"), "every", least=1),
            seed=_whole(values.get("seed", "0"), "seed", least=0),
            size_wh=parse_size(values.get("size", "640x480"), "demo's size"),
            frames=None if frames is None else _whole(frames, "frames", least=1),
            lens=Path(values["lens"]) if values.get("lens") else None,
        )

    def scene(self) -> KnownScene:
        """Create the scene.

        Raises:
            SourceError: The picture cannot be read.
            ConfigError: The lens cannot be read, is too wide, or is for frames of another aspect.
        """
        if self.lens is not None:
            lens = read_lens(self.lens, size_wh=self.size_wh)
            return LensScene(lens, lambda size_wh: replace(self, lens=None, size_wh=size_wh).scene())
        photograph = None if self.picture is None else read_picture(self.picture)
        if self.motion in ROOM_MOTIONS:
            return RoomScene(
                self.size_wh,
                self.motion,
                self.seed,
                photograph,
                rolling_shutter=self.rolling,
                motion_blur=self.blur,
            )
        width, height = self.size_wh
        picture = photograph
        if picture is None:
            picture = procedural_picture((round(1.45 * width), round(1.45 * height)), self.seed)
        motion = next(m for m in MOTIONS if m == self.motion)
        return Scene(picture, self.size_wh, motion, self.occluder, self.seed, self.flicker)


class DemoSource:
    """Frames of a generated scene at 30 per second, `frames` of them or endless."""

    def __init__(self, spec: DemoSpec, frames: int | None = DEMO_FRAMES, start_s: float = 0.0) -> None:
        self.spec = spec
        self.damage: str | None = None
        self._frames = frames if spec.frames is None else spec.frames
        self._start = round(start_s * DEMO_FPS)
        self._scene: KnownScene | None = None

    @property
    def info(self) -> SourceInfo:
        """Properties of the source."""
        count = None if self._frames is None else max(0, self._frames - self._start)
        return SourceInfo("demo", self.spec.size_wh, DEMO_FPS, count, live=False)

    @property
    def scene(self) -> KnownScene:
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


def _motion(text: str | None, *, in_room: bool) -> Motion | RoomMotion:
    if text is None or (text == _ROOM and not in_room):
        return "walk" if in_room or text == _ROOM else "handheld"
    known = ROOM_MOTIONS if in_room else (*MOTIONS, *ROOM_MOTIONS)
    motion = next((m for m in known if m == text), None)
    if motion is None:
        allowed = ROOM_MOTIONS if in_room else (*MOTIONS, _ROOM, *ROOM_MOTIONS)
        raise ConfigError(f"demo's motion must be one of {', '.join(allowed)}, got {text!r}")
    return motion


def _switch(text: str, what: str) -> bool:
    if text not in ("0", "1"):
        raise ConfigError(f"demo's {what} must be 0 or 1, got {text!r}")
    return text == "1"


def _whole(text: str, what: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ConfigError(f"demo's {what} must be a whole number of at least {least}, got {text!r}")
    return int(text)
