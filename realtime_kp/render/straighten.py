"""Tracked frames as a lens without distortion would show them, for drawing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from realtime_kp.keypoints import Keypoints, ReferencePose, TrackedFrame, Tracks
from realtime_kp.lens import Lens, StraightView


class Straightener:
    """Straightens tracked frames; the view of the last lens is kept."""

    def __init__(self) -> None:
        self._view: StraightView | None = None

    def view(self, lens: Lens) -> StraightView:
        """The straightened view of a lens."""
        if self._view is None or self._view.lens != lens:
            self._view = StraightView.of(lens)
        return self._view

    def straightened(self, tracked: TrackedFrame, trail_length: int) -> TrackedFrame:
        """A frame with the straightened picture, and all positions in its pixels; as it is without a lens.

        Args:
            tracked: The frame.
            trail_length: Number of past positions of each track that are drawn.
        """
        lens = tracked.frame.lens
        if lens is None:
            return tracked
        view, newest = self.view(lens), tracked.newest
        if newest is not None:
            # The newest keypoints are moved along the trails as far back as their frame.
            trail_length = max(trail_length, tracked.updates_since_newest + 1)
            newest = replace(newest, keypoints=_keypoints(newest.keypoints, view))
        frame = replace(tracked.frame, image_bgr=view.image(tracked.frame.image_bgr), mask=None, lens=None)
        return replace(
            tracked,
            frame=frame,
            keypoints=None if tracked.keypoints is None else _keypoints(tracked.keypoints, view),
            newest=newest,
            tracks=_tracks(tracked.tracks.confirmed, view, trail_length),
            reference=None if tracked.reference is None else _pose(tracked.reference, view),
        )


def _keypoints(keypoints: Keypoints, view: StraightView) -> Keypoints:
    return replace(keypoints, xy=view.from_source(keypoints.xy))


def _tracks(tracks: Tracks, view: StraightView, trail_length: int) -> Tracks:
    trails = tracks.trails_xy[:, -trail_length:]
    straight = view.from_source(trails.reshape(-1, 2)).reshape(trails.shape)
    return replace(tracks, xy=view.from_source(tracks.xy), trails_xy=np.asarray(straight, np.float32))


def _pose(pose: ReferencePose, view: StraightView) -> ReferencePose:
    if pose.corners_xy is None:
        return pose
    return replace(pose, corners_xy=view.from_source(pose.corners_xy))
