"""The loop of the transformers guide, for comparison: processor, model, post-processing, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from realtime_kp.bench.reference_loops import Image, Step
from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError
from realtime_kp.features.resize import network_size
from realtime_kp.features.transformers_weights import load_weights


@contextmanager
def transformers_step(config: SuperPointConfig, *, half: bool = False) -> Iterator[Step]:
    """Processor, model (on the CPU or the chosen GPU) and post-processing of transformers.

    The network input has the same size as in our pipeline; nothing is tracked, drawn or encoded.

    Args:
        config: Weights, device and size.
        half: Half precision instead of fp32: bf16 on CPUs, fp16 on GPUs.

    Raises:
        ModelError: The weights have no processor configuration.
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
    dtype = (torch.float16 if use_gpu else torch.bfloat16) if half else torch.float32
    model = weights.model.to(device=device, dtype=dtype)

    def step(image_bgr: Image) -> int:
        height, width = image_bgr.shape[:2]
        size = network_size((width, height), config.resize)
        image = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            inputs = processor(image, size={"height": size[1], "width": size[0]}, return_tensors="pt")
            outputs = model(pixel_values=inputs["pixel_values"].to(device, dtype))
            found = processor.post_process_keypoint_detection(outputs, [(height, width)])
        return len(found[0]["keypoints"])

    yield step
