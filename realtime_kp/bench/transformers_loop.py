"""The loop of transformers' own guide, to compare with: processor, model, post-processing, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError
from realtime_kp.features.resize import network_size
from realtime_kp.features.weights_store import load_weights


@dataclass(frozen=True, slots=True)
class TransformersResult:
    """What transformers' loop measured.

    Attributes:
        frames: Frames measured.
        fps: Frames a second.
        p50_ms: Median of a frame.
        keypoints_per_frame: Mean.
    """

    frames: int
    fps: float
    p50_ms: float
    keypoints_per_frame: float


def run_transformers_loop(
    images_bgr: Sequence[NDArray[np.uint8]], config: SuperPointConfig, *, warmup: int = 2
) -> TransformersResult:
    """Time transformers' own processor, model (fp32, CPU or the GPU chosen) and post-processing.

    The network sees the same size as ours; nothing is tracked, drawn or encoded.

    Args:
        images_bgr: Frames of one size.
        config: Weights, device and size.
        warmup: Frames run before the clock starts.

    Raises:
        ModelError: The weights come without a processor's configuration.
    """
    import torch
    from transformers import AutoImageProcessor

    weights = load_weights(config.model, config.revision)
    try:
        processor = AutoImageProcessor.from_pretrained(
            weights.ref.location, revision=config.revision or "main"
        )
    except (OSError, ValueError) as exc:
        raise ModelError(f"{weights.ref.location} holds no preprocessor_config.json to compare with") from exc
    use_gpu = config.device.startswith("cuda") or (config.device == "auto" and torch.cuda.is_available())
    device = (config.device if config.device.startswith("cuda") else "cuda") if use_gpu else "cpu"
    model = weights.model.to(device)
    size = network_size((images_bgr[0].shape[1], images_bgr[0].shape[0]), config.resize)
    processor.size = {"height": size[1], "width": size[0]}

    def one(image_bgr: NDArray[np.uint8]) -> int:
        image = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            inputs = processor(image, return_tensors="pt").to(device)
            outputs = model(**inputs)
            found = processor.post_process_keypoint_detection(outputs, [image.shape[:2]])
        return len(found[0]["keypoints"])

    for image in images_bgr[:warmup]:
        one(image)
    took_s, keypoints = [], []
    for image in images_bgr:
        started_s = time.perf_counter()
        keypoints.append(one(image))
        took_s.append(time.perf_counter() - started_s)
    return TransformersResult(
        frames=len(took_s),
        fps=len(took_s) / sum(took_s),
        p50_ms=float(np.median(took_s) * 1e3),
        keypoints_per_frame=float(np.mean(keypoints)),
    )
