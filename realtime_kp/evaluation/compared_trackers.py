"""What is measured against what: our trackers and those of others, behind one interface."""

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
    """What is measured: anything that turns frames and keypoints into tracks."""

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Carry the tracks to a frame."""
        ...


def make_trackers(config: TrackingConfig) -> dict[str, Callable[[], PointTracker]]:
    """The trackers of the tables: ours of every kind, the original demo's way, OpenCV's."""
    kinds: tuple[Literal["hybrid", "flow", "descriptor"], ...] = ("hybrid", "flow", "descriptor")
    ours: dict[str, Callable[[], PointTracker]] = {
        kind: partial(Tracker, replace(config, kind=kind)) for kind in kinds
    }
    return {
        **ours,
        "nearest neighbours, no gate": NearestNeighbourTracker,
        "OpenCV KLT": KltTracker,
    }
