"""Reference loops: one step per frame, for comparison with the pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.evaluation.feature_extractors import open_extractor
from realtime_kp.evaluation.feature_set import Features
from realtime_kp.features.resize import network_size

Image = NDArray[np.uint8]
# Takes a frame, returns its number of keypoints.
Step = Callable[[Image], int]


@dataclass(frozen=True, slots=True)
class ReferenceLoop:
    """Results of a reference loop.

    Attributes:
        frames: Number of measured frames.
        fps: Frames per second.
        p50_ms: Median time per frame.
        core_ms: Mean processor time of all threads per frame.
        keypoints_per_frame: Mean number of keypoints.
    """

    frames: int
    fps: float
    p50_ms: float
    core_ms: float
    keypoints_per_frame: float

    @classmethod
    def median_of(cls, loops: Sequence[ReferenceLoop]) -> ReferenceLoop:
        """Median of each figure."""
        return cls(
            loops[0].frames,
            *(
                float(np.median([getattr(loop, name) for loop in loops]))
                for name in ("fps", "p50_ms", "core_ms", "keypoints_per_frame")
            ),
        )

    def to_dict(self) -> dict[str, float]:
        """As values of the summary."""
        return {"frames": self.frames} | {
            name: round(getattr(self, name), 3)
            for name in ("fps", "p50_ms", "core_ms", "keypoints_per_frame")
        }


def time_loop(step: Step, images_bgr: Sequence[Image], warmup: int = 2) -> ReferenceLoop:
    """Time a step on decoded frames.

    Args:
        step: What is done with each frame.
        images_bgr: Frames of one size.
        warmup: Number of frames before the measured ones.
    """
    for image in images_bgr[:warmup]:
        step(image)
    took_s, keypoints, cores_s = [], [], time.process_time()
    for image in images_bgr:
        started_s = time.perf_counter()
        keypoints.append(step(image))
        took_s.append(time.perf_counter() - started_s)
    return ReferenceLoop(
        frames=len(took_s),
        fps=len(took_s) / sum(took_s),
        p50_ms=float(np.median(took_s) * 1e3),
        core_ms=(time.process_time() - cores_s) * 1e3 / len(took_s),
        keypoints_per_frame=float(np.mean(keypoints)),
    )


@contextmanager
def classical_step(name: str, config: SuperPointConfig) -> Iterator[Step]:
    """ORB or SIFT: resize, detect, describe, and match with the frame before by mutual nearest neighbours.

    Args:
        name: `orb` or `sift`.
        config: Size and number of keypoints.
    """
    last: list[Features] = []
    with open_extractor(name, config.max_keypoints, config) as method:

        def step(image_bgr: Image) -> int:
            size = network_size((image_bgr.shape[1], image_bgr.shape[0]), config.resize)
            image = cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA)
            found = method.features(np.asarray(image, np.uint8))
            if last:
                method.match(last.pop(), found)
            last.append(found)
            return len(found.xy)

        yield step
