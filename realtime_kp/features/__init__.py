"""SuperPoint: fixed resize → network → decode → keypoints in source pixels."""

from realtime_kp.features.adaptive import AdaptiveSuperPoint
from realtime_kp.features.sparing import SparingExtractor
from realtime_kp.features.superpoint import Extraction, Extractor, ModelInfo, SuperPoint

__all__ = ["AdaptiveSuperPoint", "Extraction", "Extractor", "ModelInfo", "SparingExtractor", "SuperPoint"]
