"""Keypoints that come back in the other view belong above those that do not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from realtime_kp.features.decode import heatmap, refine
from realtime_kp.features.suppression import window_max
from realtime_kp.training.views import Views, apply

Tensor = torch.Tensor

# 512 keypoints in 640×480 pixels.
_AREA_PX = 600
_NMS_RADIUS_PX = 4
_BORDER_PX = 4
_RETURNED_PX = 1.0
_LOST_PX = 4.0
_MARGIN_PX = 8


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The highest peaks of each view, in order.

    Attributes:
        xy: `(N, M, 2)` pixels, whole ones.
        flat: `(N, M)`, the same as an index into the view.
        known: `(N, M) bool`: twice as many as are chosen, others do not count.
        chosen: `(N, M) bool`: what would be kept with a keypoint per 600 pixels.
    """

    xy: Tensor
    flat: Tensor
    known: Tensor
    chosen: Tensor


def ranking_loss(logits: Tensor, views: Views) -> Tensor:
    """Pairwise logistic loss between keypoints of one view that come back and such that do not.

    The keypoints are what use would find: peaks after non-maximum suppression. One has come back where the
    other view chooses one within a pixel of its place there, not at all from 4 px on, in part between. Only
    their order counts: the level of the scores is left to the labels.

    (The loss is RankNet's: Burges et al., 2005, equation 3; that keypoints be ranked by whether they come
    back follows Savinov et al., Quad-networks, 2017.)

    Args:
        logits: `(2B, 65, h, w)`, the first views and then the second ones.
        views: The B pairs.
    """
    heat = heatmap(logits)
    shown = views.shown.flatten(0, 1).squeeze(1)
    with torch.no_grad():
        candidates = _candidates(heat, shown)
        returned, told = _returned(heat, shown, candidates, views)
    score = heat.flatten(1).gather(1, candidates.flat).clamp(1e-6, 1 - 1e-6).logit()
    weight = (returned.unsqueeze(2) - returned.unsqueeze(1)).clamp_min(0)
    weight = weight * (told.unsqueeze(2) & told.unsqueeze(1))
    wrong = functional.softplus(score.unsqueeze(1) - score.unsqueeze(2))
    mean: Tensor = (wrong * weight).sum() / weight.sum().clamp_min(1)
    return mean


def _candidates(heat: Tensor, shown: Tensor) -> _Candidates:
    height, width = heat.shape[1:]
    highest = window_max(heat, _NMS_RADIUS_PX)
    inside = window_max(1 - shown.float(), _NMS_RADIUS_PX) == 0
    border = torch.zeros_like(inside)
    border[:, _BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX] = True
    peaks = heat.masked_fill((heat != highest) | ~inside | ~border, -1)
    scores, flat = peaks.flatten(1).topk(min(2 * height * width // _AREA_PX + 2, height * width), dim=1)
    xy = torch.stack([flat % width, flat // width], dim=2)
    chosen = (shown.flatten(1).sum(dim=1, keepdim=True) / _AREA_PX).round()
    rank = torch.arange(flat.shape[1], device=heat.device)
    return _Candidates(xy, flat, (rank < 2 * chosen) & (scores > 0), (rank < chosen) & (scores > 0))


def _returned(heat: Tensor, shown: Tensor, candidates: _Candidates, views: Views) -> tuple[Tensor, Tensor]:
    """How surely each candidate has come back, `(N, M)` 0 to 1, and whether the other view could tell."""
    height, width = heat.shape[1:]
    places = refine(heat, candidates.xy.float())
    first, second = places.chunk(2)
    across = views.homographies[1] @ torch.linalg.inv(views.homographies[0])
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
