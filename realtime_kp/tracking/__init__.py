"""Tracking: prediction, alignment, association, re-identification, and the life cycle of the tracks."""

from realtime_kp.tracking.query_file import read_query_points
from realtime_kp.tracking.query_points import QueryPoint
from realtime_kp.tracking.snapshot import restore_tracker, save_tracker
from realtime_kp.tracking.track_registry import TrackCounts
from realtime_kp.tracking.tracker import Tracker

__all__ = ["QueryPoint", "TrackCounts", "Tracker", "read_query_points", "restore_tracker", "save_tracker"]
