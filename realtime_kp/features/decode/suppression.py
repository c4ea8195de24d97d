"""Non-maximum suppression, identical to that of the reference implementation."""

from __future__ import annotations

import torch
from torch.nn import functional

from realtime_kp.features.decode.settings import SUPPRESSION_ROUNDS


def non_maximum_suppression(heat: torch.Tensor, radius: int) -> torch.Tensor:
    """Keep local maxima within ±radius, and in two further rounds those that only a suppressed one exceeded.

    The result equals that of the reference, max-pools of (2r+1)², one and then two rounds of two. The square
    window is separated into rows and columns, which gives the same maximum with fewer comparisons.

    Args:
        heat: `(B, H, W) float32`, 0 or more.
        radius: In pixels; 0 keeps everything.

    Returns:
        `(B, H, W)`: `heat` at the peaks, 0 elsewhere.
    """
    if radius == 0:
        return heat
    keep = heat == window_max(heat, radius)
    for _ in range(SUPPRESSION_ROUNDS):
        near = window_max(keep.to(heat.dtype), radius) > 0
        rest = heat.masked_fill(near, 0)
        keep = keep | ((rest == window_max(rest, radius)) & ~near)
    return heat * keep


def window_max(image: torch.Tensor, radius: int) -> torch.Tensor:
    """`(B, H, W)`: largest value within ±radius; pixels beyond the edges are ignored."""
    side = 2 * radius + 1
    rows = functional.max_pool2d(image.unsqueeze(1), (1, side), stride=1, padding=(0, radius))
    return functional.max_pool2d(rows, (side, 1), stride=1, padding=(radius, 0)).squeeze(1)
