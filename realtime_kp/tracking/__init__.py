"""Tracking: prediction, alignment, association, re-identification, and the life cycle of the tracks."""

from realtime_kp.tracking.snapshot import restore_tracker, save_tracker
from realtime_kp.tracking.track_registry import TrackCounts
from realtime_kp.tracking.tracker import Tracker

__all__ = ["TrackCounts", "Tracker", "restore_tracker", "save_tracker"]
