"""The trackers that are compared: ours and reference trackers, behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, Protocol

from realtime_kp.config import TrackingConfig
from realtime_kp.evaluation.reference_trackers import KltTracker, NearestNeighbourTracker
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.tracking import Tracker


class PointTracker(Protocol):
    """Any tracker that turns frames and keypoints into tracks."""

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Advance all tracks to a frame."""
        ...


def make_trackers(config: TrackingConfig) -> dict[str, Callable[[], PointTracker]]:
    """Factories of the compared trackers by name: our methods, nearest neighbours, Lucas–Kanade."""
    kinds: tuple[Literal["hybrid", "flow", "descriptor"], ...] = ("hybrid", "flow", "descriptor")
    ours: dict[str, Callable[[], PointTracker]] = {
        kind: partial(Tracker, replace(config, kind=kind)) for kind in kinds
    }
    return {
        **ours,
        "nearest neighbours, no gate": NearestNeighbourTracker,
        "OpenCV KLT": KltTracker,
    }
