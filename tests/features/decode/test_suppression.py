from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from realtime_kp.features.decode import suppression


def reference_nms(scores: torch.Tensor, radius: int) -> torch.Tensor:
    """The published rule, word for word: max-pools of (2r+1)², two rounds of revival."""

    def pool(x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x[:, None], 2 * radius + 1, stride=1, padding=radius)[:, 0]

    keep = scores == pool(scores)
    for _ in range(2):
        near = pool(keep.float()) > 0
        rest = torch.where(near, torch.zeros_like(scores), scores)
        keep = keep | ((rest == pool(rest)) & ~near)
    return torch.where(keep, scores, torch.zeros_like(scores))


@pytest.mark.parametrize("radius", [1, 2, 4, 7])
@pytest.mark.parametrize("batch", [1, 3])
def test_suppression_is_exactly_the_reference_rule(radius: int, batch: int) -> None:
    heat = torch.rand(batch, 48, 64, generator=torch.Generator().manual_seed(radius)) ** 4
    assert torch.equal(suppression.non_maximum_suppression(heat, radius), reference_nms(heat, radius))


def test_radius_zero_suppresses_nothing() -> None:
    heat = torch.rand(1, 16, 16)
    assert torch.equal(suppression.non_maximum_suppression(heat, 0), heat)
