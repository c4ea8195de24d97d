"""What methods find in a picture, whatever their descriptors are."""

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
    """Of one picture.

    Attributes:
        xy: `(N, 2) float32`, pixels, best first.
        scores: `(N,) float32`, of the method's own kind.
        descriptors: `(N, D)`, of the method's own kind.
    """

    xy: FloatArray
    scores: FloatArray
    descriptors: NDArray[Any]

    def keypoints(self) -> Keypoints:
        """The same for a tracker; descriptors must be unit vectors."""
        return Keypoints(self.xy, self.scores, self.descriptors)


class FeatureMethod(Protocol):
    """Finds features in pictures and matches those of two."""

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        """The best keypoints of a picture."""
        ...

    def match(self, first: Features, second: Features) -> Pairs:
        """Mutual nearest neighbours."""
        ...
