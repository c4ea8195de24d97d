"""SuperPoint: fixed resize → network → decode → keypoints in source pixels."""

from realtime_kp.features.superpoint import Extraction, Extractor, ModelInfo, SuperPoint

__all__ = ["Extraction", "Extractor", "ModelInfo", "SuperPoint"]
