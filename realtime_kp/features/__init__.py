"""SuperPoint: fixed resize → network → decode → keypoints in source pixels."""

from realtime_kp.features.extractor import Extraction, Extractor, ModelInfo
from realtime_kp.features.memory_fallback import MemoryFallbackExtractor
from realtime_kp.features.model_selection import ModelSelectingExtractor
from realtime_kp.features.superpoint import SuperPoint

__all__ = [
    "Extraction",
    "Extractor",
    "MemoryFallbackExtractor",
    "ModelInfo",
    "ModelSelectingExtractor",
    "SuperPoint",
]
