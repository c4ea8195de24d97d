"""Ranking loss: repeatable keypoints should score above those that are not."""

from __future__ import annotations

import torch
from torch.nn import functional

from realtime_kp.features.decode.torch_decoder import refine
from realtime_kp.training.detected_keypoints import Candidates, detect_candidates
from realtime_kp.training.views import Views

Tensor = torch.Tensor

# 512 keypoints in 640×480 pixels.
_AREA_PX = 600
_RETURNED_PX = 1.0
_LOST_PX = 4.0
_MARGIN_PX = 8


def ranking_loss(heat: Tensor, views: Views) -> Tensor:
    """Pairwise logistic loss between repeatable and unrepeatable keypoints of a view.

    Keypoints are detected as in inference: peaks after non-maximum suppression. A keypoint is repeatable
    where the other view selects one within a pixel of its mapped position, not at all beyond 4 px, and partly
    between. Only the order of the scores is trained, not their level.

    (The loss is RankNet's: Burges et al., 2005, equation 3. Ranking keypoints by repeatability follows
    Savinov et al., Quad-networks, 2017.)

    Args:
        heat: `(2B, H, W)`, heat maps of the first views and then of the second ones.
        views: The B pairs.
    """
    shown = views.shown.flatten(0, 1).squeeze(1)
    with torch.no_grad():
        candidates = detect_candidates(heat, shown, _AREA_PX)
        returned, told = _repeatability(heat, shown, candidates, views)
    score = heat.flatten(1).gather(1, candidates.flat).clamp(1e-6, 1 - 1e-6).logit()
    weight = (returned.unsqueeze(2) - returned.unsqueeze(1)).clamp_min(0)
    weight = weight * (told.unsqueeze(2) & told.unsqueeze(1))
    wrong = functional.softplus(score.unsqueeze(1) - score.unsqueeze(2))
    mean: Tensor = (wrong * weight).sum() / weight.sum().clamp_min(1)
    return mean


def _repeatability(
    heat: Tensor, shown: Tensor, candidates: Candidates, views: Views
) -> tuple[Tensor, Tensor]:
    """`(N, M)` repeatability of each candidate, 0 to 1; `(N, M) bool`, whether the other view shows it."""
    height, width = heat.shape[1:]
    places = refine(heat, candidates.xy.float())
    first, second = places.chunk(2)
    there, seen = (torch.cat(both) for both in zip(views.across(first), views.back(second), strict=True))
    gaps = torch.cdist(there, torch.cat([second, first]))
    chosen = torch.cat(candidates.chosen.chunk(2)[::-1])
    nearest = gaps.masked_fill(~chosen.unsqueeze(1), torch.inf).amin(dim=2)
    returned = ((_LOST_PX - nearest) / (_LOST_PX - _RETURNED_PX)).clamp(0, 1)
    x, y = there.round().long().unbind(dim=2)
    told = (x >= _MARGIN_PX) & (x < width - _MARGIN_PX) & (y >= _MARGIN_PX) & (y < height - _MARGIN_PX)
    flat = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    told &= torch.cat(shown.chunk(2)[::-1]).flatten(1).gather(1, flat)
    return returned, told & seen & candidates.known
