"""Keypoints of a reference picture as frames show it: large, and smaller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Keypoints
from realtime_kp.reference.picture import ReferencePicture

LEAST_KEYPOINTS = 20
_SHARES = (0.95, 0.5, 0.25, 0.12)  # of the frame
_LEAST_VIEW_PX = 60
_BORDER_PX = 6.0
_MOST_KEYPOINTS = 400


@dataclass(frozen=True, slots=True)
class DescribedReference:
    """A reference picture with its keypoints.

    Attributes:
        picture: The picture.
        views: Keypoints in pixels of the picture, one set for each size at which it was looked at.
    """

    picture: ReferencePicture
    views: tuple[Keypoints, ...]

    @property
    def problem(self) -> str:
        """Why the picture cannot be found in any frame; empty where it can."""
        most = max((len(view) for view in self.views), default=0)
        if most >= LEAST_KEYPOINTS:
            return ""
        return (
            f"the reference {self.picture.name} has {most} keypoints only: {LEAST_KEYPOINTS} at least are "
            "needed; take a sharper picture, or one of something with more texture"
        )


def describe(
    picture: ReferencePicture,
    frame_wh: tuple[int, int],
    find: Callable[[NDArray[np.uint8]], Keypoints],
) -> DescribedReference:
    """Find the keypoints of a reference picture.

    The network sees it as it will see the frames: within a picture of their size, at several sizes, as
    keypoints and descriptors of a larger picture are others.

    Args:
        picture: The picture.
        frame_wh: Width and height of the frames.
        find: Detects the keypoints of an image of that size.
    """
    views: list[Keypoints] = []
    for share in _SHARES:
        scale = share * min(frame_wh[0] / picture.size_wh[0], frame_wh[1] / picture.size_wh[1])
        if views and scale * max(picture.size_wh) < _LEAST_VIEW_PX:
            break
        views.append(_view(picture, scale, frame_wh, find))
    return DescribedReference(picture, tuple(views))


def _view(
    picture: ReferencePicture,
    scale: float,
    frame_wh: tuple[int, int],
    find: Callable[[NDArray[np.uint8]], Keypoints],
) -> Keypoints:
    size_wh = tuple(max(1, round(side * scale)) for side in picture.size_wh)
    shrinks = size_wh[0] < picture.size_wh[0]
    small = cv2.resize(
        picture.image_bgr, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    canvas = np.empty((frame_wh[1], frame_wh[0], 3), np.uint8)
    canvas[:] = np.rint(picture.image_bgr.mean(axis=(0, 1))).astype(np.uint8)
    left, top = ((side - part) // 2 for side, part in zip(frame_wh, size_wh, strict=True))
    canvas[top : top + size_wh[1], left : left + size_wh[0]] = small
    found = find(canvas)
    there = found.xy - np.array([left, top], np.float32)
    # The edge of the picture is one of this canvas only.
    inside = (there >= _BORDER_PX) & (there <= np.array(size_wh) - 1 - _BORDER_PX)
    rows = np.flatnonzero(inside.all(axis=1))[:_MOST_KEYPOINTS]
    stretch = np.array(picture.size_wh, np.float32) / np.array(size_wh, np.float32)
    xy = ((there[rows] + 0.5) * stretch - 0.5).astype(np.float32)
    return Keypoints(xy, found.scores[rows], found.descriptors[rows].astype(np.float32))
