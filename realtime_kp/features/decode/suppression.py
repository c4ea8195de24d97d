"""Non-maximum suppression, exactly as the reference has it."""

from __future__ import annotations

import torch
from torch.nn import functional

ROUNDS = 2


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
    keep = heat == window_max(heat, radius)
    for _ in range(ROUNDS):
        near = window_max(keep.to(heat.dtype), radius) > 0
        rest = heat.masked_fill(near, 0)
        keep |= (rest == window_max(rest, radius)) & ~near
    return heat * keep


def window_max(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Largest value within ±radius, `(B, H, W)`; beyond the edges counts for nothing."""
    side = 2 * radius + 1
    rows = functional.max_pool2d(image.unsqueeze(1), (1, side), stride=1, padding=(0, radius))
    return functional.max_pool2d(rows, (side, 1), stride=1, padding=(radius, 0)).squeeze(1)
