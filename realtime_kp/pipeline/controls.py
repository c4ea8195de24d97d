"""Settings that the user changes at run time."""

from __future__ import annotations

from dataclasses import dataclass

from realtime_kp.config import Box
from realtime_kp.reference import ReferencePicture
from realtime_kp.tracking import QueryPoint


@dataclass(frozen=True, slots=True)
class Controls:
    """Settings that take effect with the next frame. Immutable: a change replaces the whole object.

    Attributes:
        paused: No new frames are processed; live sources are still read, and their frames discarded.
        keypoint_threshold: Replaces the configured minimum score; None keeps the configured one.
        regions: Left, top, width and height of further regions to look in, pixels.
        everywhere: Masks and regions do not count.
        points: All points that the user has asked for so far while running, in this order.
        removed: Ids of the tracks of points that the user has given up so far.
        reference: The reference picture to look for; None for none.
        max_keypoints: Of each detection the best so many count; None leaves it to the network's own limit.
    """

    paused: bool = False
    keypoint_threshold: float | None = None
    regions: tuple[Box, ...] = ()
    everywhere: bool = False
    points: tuple[QueryPoint, ...] = ()
    removed: frozenset[int] = frozenset()
    reference: ReferencePicture | None = None
    max_keypoints: int | None = None
