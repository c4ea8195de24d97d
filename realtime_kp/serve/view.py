"""What is shown to viewers: frames, and how the run is doing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import Box
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.render import Look

# `loading`: no frame yet; `running`: frames come, or the user has paused; `lost`: the source is lost.
Phase = Literal["loading", "running", "lost"]


@dataclass(frozen=True, slots=True)
class LiveView:
    """One frame, to be shown.

    Attributes:
        tracked: The frame and its tracks.
        drawn_bgr: `(H, W, 3)`, as a window shows it; None where nothing was drawn.
    """

    tracked: TrackedFrame
    drawn_bgr: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a run; None where not known yet.

    Attributes:
        fps: Recent frames per second.
        latency_p50_ms: Recent latency from capture until the frame was handed over.
        latency_p95_ms: The same, 95th percentile.
        read: Frames that the source delivered.
        processed: Frames that were tracked.
        dropped: Frames that were dropped.
        detections_per_s: Recent detections per second.
        detection_age: Age of the newest detection in frames.
        keypoints: Keypoints in the newest detection.
        tracks: Confirmed tracks in the newest frame.
    """

    fps: float = 0.0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    read: int = 0
    processed: int = 0
    dropped: int = 0
    detections_per_s: float = 0.0
    detection_age: int | None = None
    keypoints: int | None = None
    tracks: int = 0


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """How a run is doing, and what its user has chosen.

    Attributes:
        phase: Whether frames come.
        reason: Why none come; empty where they do.
        figures: Figures of the run.
        running_on: Model, input size, engine, device and precision.
        notes: Short words such as PAUSED or REC.
        paused: Whether it is paused.
        still: Whether no frames are due: it is paused, or the last one was shown.
        recording: Whether frames are recorded.
        everywhere: Whether masks and regions do not count.
        threshold: The keypoint threshold.
        max_keypoints: Most keypoints of a detection.
        regions: Regions that were drawn: left, top, width and height, pixels.
        layers: Layers of the drawn picture.
    """

    phase: Phase = "loading"
    reason: str = "loading the network"
    figures: Figures = field(default_factory=Figures)
    running_on: str = ""
    notes: tuple[str, ...] = ()
    paused: bool = False
    still: bool = False
    recording: bool = False
    everywhere: bool = False
    threshold: float = 0.0
    max_keypoints: int = 0
    regions: tuple[Box, ...] = ()
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What the page has to know, and stays as it is.

    Attributes:
        source: Name of the source.
        mirror: Whether frames are shown flipped left to right.
        undistort: Whether the drawn picture is straightened by the lens.
        trail_length: Number of past positions in a trail.
        max_keypoints: The network's limit of keypoints.
        threshold_range: Least and largest keypoint threshold.
        look: How tracks are drawn.
        layers: Layers that are drawn at first.
        help_lines: What keys and mouse do.
    """

    source: str
    mirror: bool = False
    undistort: bool = False
    trail_length: int = 20
    max_keypoints: int = 1024
    threshold_range: tuple[float, float] = (0.0005, 0.9)
    look: Look = field(default_factory=Look)
    layers: tuple[str, ...] = ()
    help_lines: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the page."""
        return {
            "source": self.source,
            "mirror": self.mirror,
            "undistort": self.undistort,
            "trail_length": self.trail_length,
            "max_keypoints": self.max_keypoints,
            "threshold_range": list(self.threshold_range),
            "trails": self.look.trails,
            "layers": list(self.layers),
            "help": list(self.help_lines),
        }
