"""Sources of frames: cameras, video files, streams, pictures, and the generated demo scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from realtime_kp.config import InputConfig
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.sources.base import FrameSource, KnownScene, ReturningSource, SourceInfo, address_of
from realtime_kp.sources.browser_camera import BrowserCamera, BrowserSource
from realtime_kp.sources.camera import CameraSource
from realtime_kp.sources.container import display_name
from realtime_kp.sources.demo import DEMO_FRAMES, DemoSource, DemoSpec, is_demo_spec
from realtime_kp.sources.equalise import Equaliser
from realtime_kp.sources.fake_camera import FakeCamera
from realtime_kp.sources.joined import JoinedSource, part_order
from realtime_kp.sources.known_lens import KnownLens
from realtime_kp.sources.moving_picture import MovingPictureSource
from realtime_kp.sources.picture_file import PICTURE_SUFFIXES, read_picture
from realtime_kp.sources.pictures import PicturesSource, list_pictures
from realtime_kp.sources.pipe import STANDARD_INPUT
from realtime_kp.sources.pipe_source import PipeSource
from realtime_kp.sources.procedural import procedural_picture
from realtime_kp.sources.reconnect import ReconnectingSource
from realtime_kp.sources.regions import Regions
from realtime_kp.sources.room import RoomScene
from realtime_kp.sources.scene import Scene
from realtime_kp.sources.specification import (
    SourceKind,
    is_picture_spec,
    source_kind,
    tell_of_hidden_file,
)
from realtime_kp.sources.video import VideoSource

__all__ = [
    "DEMO_FRAMES",
    "PICTURE_SUFFIXES",
    "STANDARD_INPUT",
    "BrowserCamera",
    "BrowserSource",
    "CameraSource",
    "DemoSource",
    "DemoSpec",
    "Equaliser",
    "FakeCamera",
    "FrameSource",
    "JoinedSource",
    "KnownLens",
    "KnownScene",
    "MovingPictureSource",
    "PicturesSource",
    "PipeSource",
    "ReconnectingSource",
    "Regions",
    "ReturningSource",
    "RoomScene",
    "Scene",
    "SourceInfo",
    "SourceKind",
    "VideoSource",
    "display_name",
    "is_demo_spec",
    "is_picture_spec",
    "join_sources",
    "list_pictures",
    "open_source",
    "part_order",
    "procedural_picture",
    "read_picture",
    "source_kind",
]


def open_source(
    spec: str | int | Path,
    config: InputConfig | None = None,
    *,
    start_s: float = 0.0,
    demo_frames: int | None = DEMO_FRAMES,
) -> FrameSource:
    """Create the source for a specification; entering it opens it.

    Args:
        spec: A camera index or `/dev/videoN`, a video file, a picture, a folder or glob of pictures, an
            `rtsp://`, `rtmp://` or `http(s)://` address, `-` for standard input, or `demo`. Digits are a
            camera index; a `Path` is always a file or folder.
        config: Camera settings, time-outs, and the frame rate of pictures.
        start_s: Where to start, in seconds; not for cameras and live streams.
        demo_frames: Length of the demo where the specification has none; None is endless.

    Raises:
        ConfigError: The specification of a demo source is invalid.
        SourceError: The scheme of the address is unknown.
    """
    config = config or InputConfig()
    text = address_of(spec)
    kind = source_kind(text)
    tell_of_hidden_file(text, kind)
    if kind is SourceKind.DEMO:
        return DemoSource(DemoSpec.parse(text), demo_frames, start_s)
    if kind is SourceKind.BROWSER:
        raise ConfigError("browser is the camera of a visitor: realtime-kp live browser --serve PORT")
    if kind is SourceKind.CAMERA:
        device = int(text) if text.isdecimal() else text
        return _returning(lambda: CameraSource(device, config), config)
    if kind is SourceKind.STREAM:
        return _returning(
            lambda: VideoSource(
                text, timeout_s=config.timeout_s, max_pixels=config.max_pixels, stream=config.stream
            ),
            config,
        )
    if kind is SourceKind.MOVING_PICTURE:
        return MovingPictureSource(
            Path(text),
            fps=config.picture_fps,
            start_s=start_s,
            max_pixels=config.max_pixels,
            value_range=config.value_range,
        )
    if kind.pictures:
        return PicturesSource(
            text,
            fps=config.picture_fps,
            start_s=start_s,
            max_pixels=config.max_pixels,
            value_range=config.value_range,
        )
    if kind is SourceKind.PIPE:
        return PipeSource(text, start_s=start_s, max_pixels=config.max_pixels, stream=config.stream)
    return VideoSource(Path(text), start_s=start_s, max_pixels=config.max_pixels, stream=config.stream)


def join_sources(
    specs: Sequence[str], config: InputConfig | None = None, *, start_s: float = 0.0
) -> FrameSource:
    """Create a source of several video files that are parts of one.

    Args:
        specs: The files, in order.
        config: As for `open_source`.
        start_s: Where to start, in seconds from the first frame of the first part.

    Raises:
        ConfigError: One of them is no video file.
    """
    for spec in specs:
        if source_kind(spec) is not SourceKind.VIDEO:
            raise ConfigError(f"--concat joins video files, {spec} is none")
        if not Path(spec).exists():
            raise SourceError(f"there is no file {spec}")
    return JoinedSource([partial(open_source, spec, config) for spec in specs], start_s)


def _returning(make: Callable[[], FrameSource], config: InputConfig) -> FrameSource:
    attempts = config.reconnect_attempts
    return make() if attempts == 0 else ReconnectingSource(make, attempts)
