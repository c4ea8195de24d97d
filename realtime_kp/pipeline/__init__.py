"""The threads between source and render loop, and their measurements."""

from realtime_kp.pipeline.build import build_pipeline, make_extractor
from realtime_kp.pipeline.channel import Channel, ChannelClosedError, Policy
from realtime_kp.pipeline.controls import Controls
from realtime_kp.pipeline.detections import detections
from realtime_kp.pipeline.inference import FoundElsewhere
from realtime_kp.pipeline.meter import RunMeter
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.pipeline import FrameCounts, Pipeline
from realtime_kp.pipeline.statistics import Percentiles, RateMeter, RecentLatency, StageStatistics

__all__ = [
    "Channel",
    "ChannelClosedError",
    "Controls",
    "FoundElsewhere",
    "FrameCounts",
    "Pacer",
    "Percentiles",
    "Pipeline",
    "Policy",
    "RateMeter",
    "RecentLatency",
    "RunMeter",
    "StageStatistics",
    "build_pipeline",
    "detections",
    "make_extractor",
]
