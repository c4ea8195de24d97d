"""Keypoints that come back in the other view belong above those that do not."""

from __future__ import annotations

import torch
from torch.nn import functional

from realtime_kp.features.decode.torch_decoder import refine
from realtime_kp.training.detected_keypoints import Candidates, find_candidates
from realtime_kp.training.views import Views, apply

Tensor = torch.Tensor

# 512 keypoints in 640×480 pixels.
_AREA_PX = 600
_RETURNED_PX = 1.0
_LOST_PX = 4.0
_MARGIN_PX = 8


def ranking_loss(heat: Tensor, views: Views) -> Tensor:
    """Pairwise logistic loss between keypoints of one view that come back and such that do not.

    The keypoints are what use would find: peaks after non-maximum suppression. One has come back where the
    other view chooses one within a pixel of its place there, not at all from 4 px on, in part between. Only
    their order counts: the level of the scores is left to the labels.

    (The loss is RankNet's: Burges et al., 2005, equation 3; that keypoints be ranked by whether they come
    back follows Savinov et al., Quad-networks, 2017.)

    Args:
        heat: `(2B, H, W)`, the first views and then the second ones.
        views: The B pairs.
    """
    shown = views.shown.flatten(0, 1).squeeze(1)
    with torch.no_grad():
        candidates = find_candidates(heat, shown, _AREA_PX)
        returned, told = _returned(heat, shown, candidates, views)
    score = heat.flatten(1).gather(1, candidates.flat).clamp(1e-6, 1 - 1e-6).logit()
    weight = (returned.unsqueeze(2) - returned.unsqueeze(1)).clamp_min(0)
    weight = weight * (told.unsqueeze(2) & told.unsqueeze(1))
    wrong = functional.softplus(score.unsqueeze(1) - score.unsqueeze(2))
    mean: Tensor = (wrong * weight).sum() / weight.sum().clamp_min(1)
    return mean


def _returned(heat: Tensor, shown: Tensor, candidates: Candidates, views: Views) -> tuple[Tensor, Tensor]:
    """How surely each candidate has come back, `(N, M)` 0 to 1, and whether the other view could tell."""
    height, width = heat.shape[1:]
    places = refine(heat, candidates.xy.float())
    first, second = places.chunk(2)
    across = views.across()
    there = torch.cat([apply(across, first), apply(torch.linalg.inv(across), second)])
    gaps = torch.cdist(there, torch.cat([second, first]))
    chosen = torch.cat(candidates.chosen.chunk(2)[::-1])
    nearest = gaps.masked_fill(~chosen.unsqueeze(1), torch.inf).amin(dim=2)
    returned = ((_LOST_PX - nearest) / (_LOST_PX - _RETURNED_PX)).clamp(0, 1)
    x, y = there.round().long().unbind(dim=2)
    told = (x >= _MARGIN_PX) & (x < width - _MARGIN_PX) & (y >= _MARGIN_PX) & (y < height - _MARGIN_PX)
    flat = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    told &= torch.cat(shown.chunk(2)[::-1]).flatten(1).gather(1, flat)
    return returned, told & candidates.known
