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
    # Type checkers take the public names from `api.__all__`, the one place that lists them.
    from realtime_kp.api import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # Importing the package is cheap: OpenCV and PyAV are loaded with the first public name that is used.
    if not name.startswith("__") or name == "__all__":
        api = import_module("realtime_kp.api")
        if name == "__all__":
            return [*api.__all__, "__version__"]
        if name in api.__all__:
            return getattr(api, name)
    raise AttributeError(f"module 'realtime_kp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__getattr__("__all__"))
