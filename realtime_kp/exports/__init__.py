"""Saved tracks, read again and written for other tools."""

from realtime_kp.exports.formats import FORMATS
from realtime_kp.exports.supervision import to_supervision
from realtime_kp.exports.track_table import TrackTable, read_tracks
from realtime_kp.exports.writing import EXPORTED, check_export, export_tracks

__all__ = [
    "EXPORTED",
    "FORMATS",
    "TrackTable",
    "check_export",
    "export_tracks",
    "read_tracks",
    "to_supervision",
]
