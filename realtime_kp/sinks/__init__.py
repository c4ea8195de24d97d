"""Sinks: window, video file, pictures, tracks table, features file, frame log, Rerun."""

from realtime_kp.sinks.base import FrameSink, check_output, write_atomically
from realtime_kp.sinks.features_file import FeaturesSink, check_features_name
from realtime_kp.sinks.frame_log import FrameLog
from realtime_kp.sinks.gif import GifSink
from realtime_kp.sinks.locks import OutputLocks
from realtime_kp.sinks.pictures import WRITABLE, PicturesSink, picture_targets, write_picture
from realtime_kp.sinks.poses import PosesSink
from realtime_kp.sinks.rerun_stream import RerunSink, check_rerun
from realtime_kp.sinks.sound import Sound
from realtime_kp.sinks.table_file import check_table_name, notes_file
from realtime_kp.sinks.tables import COLUMNS as TRACK_COLUMNS
from realtime_kp.sinks.tables import TracksTableSink, track_rows, write_track_rows
from realtime_kp.sinks.video_file import VideoFileSink, VideoMark
from realtime_kp.sinks.window import Click, Drag, Window, window_problem

__all__ = [
    "TRACK_COLUMNS",
    "WRITABLE",
    "Click",
    "Drag",
    "FeaturesSink",
    "FrameLog",
    "FrameSink",
    "GifSink",
    "OutputLocks",
    "PicturesSink",
    "PosesSink",
    "RerunSink",
    "Sound",
    "TracksTableSink",
    "VideoFileSink",
    "VideoMark",
    "Window",
    "check_features_name",
    "check_output",
    "check_rerun",
    "check_table_name",
    "notes_file",
    "picture_targets",
    "track_rows",
    "window_problem",
    "write_atomically",
    "write_picture",
    "write_track_rows",
]
