"""Features: resizing, network, decoding, keypoints in pixels of the source."""

from realtime_kp.features.extractor import Extraction, Extractor, ModelInfo
from realtime_kp.features.kept import KeptExtractor
from realtime_kp.features.memory_fallback import MemoryFallbackExtractor
from realtime_kp.features.model_selection import ModelSelectingExtractor
from realtime_kp.features.superpoint import SuperPoint

__all__ = [
    "Extraction",
    "Extractor",
    "KeptExtractor",
    "MemoryFallbackExtractor",
    "ModelInfo",
    "ModelSelectingExtractor",
    "SuperPoint",
]
