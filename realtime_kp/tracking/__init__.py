"""Keypoints into tracks: matching, motion, alignment, and the Tracker with its life cycle and ids."""

from realtime_kp.tracking.ledger import TrackCounts
from realtime_kp.tracking.snapshot import restore_tracker, save_tracker
from realtime_kp.tracking.tracker import Tracker

__all__ = ["TrackCounts", "Tracker", "restore_tracker", "save_tracker"]
