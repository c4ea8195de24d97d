"""Points that the user asks for: those that are still to start, and what is remembered of each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError
from realtime_kp.frame import Frame
from realtime_kp.tracking.key_patches import KeyPatches

FloatArray = NDArray[np.float32]

_SAME_TIME_S = 1e-6


@dataclass(frozen=True, slots=True)
class QueryPoint:
    """A point to follow.

    Attributes:
        id: Id of its track; 0 before it has one.
        name: Its name.
        xy: Its position, pixels.
        frame: Index of the frame in which it is there; None where `time_s` tells it.
        time_s: The first frame from this time on is it; None where `frame` tells it.
    """

    id: int
    name: str
    xy: tuple[float, float]
    frame: int | None = None
    time_s: float | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.xy).all():
            raise ArgumentError(f"point {self.name}: x and y must be numbers, got {self.xy}")
        if self.time_s is not None and not np.isfinite(self.time_s):
            raise ArgumentError(f"point {self.name}: time_s must be a number, got {self.time_s}")
        if self.frame is not None and self.frame < 0:
            raise ArgumentError(f"point {self.name}: frame must be at least 0, got {self.frame}")

    def is_due(self, index: int, time_s: float) -> bool:
        """Whether its frame has come, by index and time of the newest frame."""
        if self.time_s is not None:
            return time_s >= self.time_s - _SAME_TIME_S
        return self.frame is None or index >= self.frame

    def __str__(self) -> str:
        return f"point {self.name} at ({self.xy[0]:g}, {self.xy[1]:g})"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The keypoints around a point in one frame, by which it is recognised, and how it looked there.

    Attributes:
        point_xy: `(2,)`, position of the point.
        affine: `(2, 2)`, from pixels of the key patch to pixels of the frame.
        patch: The key patch, alone.
        xy: `(K, 2)`, positions of the keypoints.
        descriptors: `(K, D)`.
    """

    point_xy: FloatArray
    affine: FloatArray
    patch: KeyPatches
    xy: FloatArray
    descriptors: FloatArray


@dataclass(slots=True)
class QueryPoints:
    """All points that the user asked for.

    Attributes:
        pending: Points whose frame has not come.
        names: Their names, by id, of the points that are followed or remembered.
        surroundings: By id: those of the first detection, then those of the newest one.
        refusals: Why points could not start, since this was last emptied.
    """

    pending: list[QueryPoint] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    surroundings: dict[int, tuple[Surroundings, ...]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def take_due(self, frame: Frame) -> list[QueryPoint]:
        """Remove and return the points whose frame has come."""
        due = [point for point in self.pending if point.is_due(frame.index, frame.time_s)]
        self.pending = [point for point in self.pending if point not in due]
        return due

    def remember(self, point: int, seen: Surroundings) -> None:
        """Keep the surroundings of the first and of the newest detection."""
        known = self.surroundings.get(point, ())
        # Those of another network could not be compared.
        alike = [one for one in known if one.descriptors.shape[1] == seen.descriptors.shape[1]]
        self.surroundings[point] = (*alike[:1], seen)

    def forget(self, point: int) -> bool:
        """Forget a point; returns whether it was known."""
        waiting = [one for one in self.pending if one.id != point]
        known = point in self.names or len(waiting) < len(self.pending)
        self.pending = waiting
        self.names.pop(point, None)
        self.surroundings.pop(point, None)
        return known
