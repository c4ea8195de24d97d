"""Keypoints into tracks: matching, global motion, and the Tracker with its life cycle and ids."""

from realtime_kp.tracking.tracker import TrackCounts, Tracker

__all__ = ["TrackCounts", "Tracker"]
