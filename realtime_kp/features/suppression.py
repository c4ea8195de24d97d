"""Non-maximum suppression, exactly as the reference has it: on a GPU in torch, on a CPU in OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

_ROUNDS = 2


def non_maximum_suppression(heat: torch.Tensor, radius: int) -> torch.Tensor:
    """Keep each local maximum within ±radius, in two further rounds those that lost to a suppressed one.

    Exactly the reference's rule (max-pools of (2r+1)², once and then two rounds of two); the square window
    is taken apart into a row and a column, which is the same maximum at a fraction of the taps.

    Args:
        heat: `(B, H, W) float32`, 0 or more.
        radius: In pixels; 0 keeps everything.

    Returns:
        `(B, H, W)`: `heat` at the survivors, 0 elsewhere.
    """
    if radius == 0:
        return heat
    if heat.device.type == "cpu":
        # torch's pooling takes 30 times as long as OpenCV's dilation on a CPU.
        return torch.stack([torch.from_numpy(_suppress_on_cpu(one.numpy(), radius)) for one in heat])
    keep = heat == _window_max(heat, radius)
    for _ in range(_ROUNDS):
        near = _window_max(keep.to(heat.dtype), radius) > 0
        rest = heat.masked_fill(near, 0)
        keep |= (rest == _window_max(rest, radius)) & ~near
    return heat * keep


def _suppress_on_cpu(heat: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    window = np.ones((2 * radius + 1,) * 2, np.uint8)
    keep = cv2.compare(heat, cv2.dilate(heat, window), cv2.CMP_EQ)
    for _ in range(_ROUNDS):
        far = cv2.bitwise_not(cv2.dilate(keep, window))
        rest = cv2.copyTo(heat, far)
        again = cv2.compare(rest, cv2.dilate(rest, window), cv2.CMP_EQ)
        keep = cv2.bitwise_or(keep, cv2.bitwise_and(again, far))
    return np.asarray(cv2.copyTo(heat, keep), np.float32)


def _window_max(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Largest value within ±radius, `(B, H, W)`; beyond the edges counts for nothing."""
    side = 2 * radius + 1
    rows = functional.max_pool2d(image.unsqueeze(1), (1, side), stride=1, padding=(0, radius))
    return functional.max_pool2d(rows, (side, 1), stride=1, padding=(radius, 0)).squeeze(1)
