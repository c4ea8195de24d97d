"""Real-time SuperPoint keypoint tracking for webcams, video files and network streams.

import realtime_kp as rk
for result in rk.track("clip.mp4"):
    print(result.frame.index, len(result.keypoints), len(result.tracks.confirmed))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from realtime_kp.api import (
        AppConfig,
        ConfigError,
        Frame,
        FrameSource,
        Keypoints,
        ModelError,
        Pipeline,
        RealtimeKpError,
        SinkError,
        SourceError,
        SuperPoint,
        Track,
        TrackedFrame,
        Tracker,
        Tracks,
        TrackState,
        load_config,
        open_source,
        track,
    )

__all__ = [
    "AppConfig",
    "ConfigError",
    "Frame",
    "FrameSource",
    "Keypoints",
    "ModelError",
    "Pipeline",
    "RealtimeKpError",
    "SinkError",
    "SourceError",
    "SuperPoint",
    "Track",
    "TrackState",
    "TrackedFrame",
    "Tracker",
    "Tracks",
    "__version__",
    "load_config",
    "open_source",
    "track",
]


def __getattr__(name: str) -> Any:
    # The package is cheap to import: OpenCV and PyAV are loaded with the first name that needs them.
    if name in __all__:
        return getattr(import_module("realtime_kp.api"), name)
    raise AttributeError(f"module 'realtime_kp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
