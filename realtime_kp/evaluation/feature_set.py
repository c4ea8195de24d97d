"""Features of an image, with descriptors of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Keypoints
from realtime_kp.tracking.matching import Pairs

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one image.

    Attributes:
        xy: `(N, 2) float32`, pixels, best first.
        scores: `(N,) float32`, on a scale of the method.
        descriptors: `(N, D)`, in the format of the method.
    """

    xy: FloatArray
    scores: FloatArray
    descriptors: NDArray[Any]

    def keypoints(self) -> Keypoints:
        """The features as `Keypoints`; descriptors must be unit vectors."""
        return Keypoints(self.xy, self.scores, self.descriptors)


class FeatureExtractor(Protocol):
    """Detects features and matches those of two images."""

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        """Detect the best keypoints of an image."""
        ...

    def match(self, first: Features, second: Features) -> Pairs:
        """Mutual nearest neighbours."""
        ...
