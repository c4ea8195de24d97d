"""Keypoints of a view as use would find them: the highest peaks after non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from realtime_kp.features.decode.suppression import window_max
from realtime_kp.features.decode.torch_decoder import refine
from realtime_kp.training.views import Views, apply

Tensor = torch.Tensor

_NMS_RADIUS_PX = 4
_BORDER_PX = 4


@dataclass(frozen=True, slots=True)
class Candidates:
    """The highest peaks of each view, in order.

    Attributes:
        xy: `(N, M, 2)` pixels, whole ones.
        flat: `(N, M)`, the same as an index into the view.
        known: `(N, M) bool`: twice as many as are chosen, others do not count.
        chosen: `(N, M) bool`: what would be kept with a keypoint per so many pixels.
    """

    xy: Tensor
    flat: Tensor
    known: Tensor
    chosen: Tensor


def find_candidates(heat: Tensor, shown: Tensor, area_px: int) -> Candidates:
    """Peaks that lie well inside what a view shows of its tile.

    Args:
        heat: `(N, H, W)`.
        shown: `(N, H, W) bool`.
        area_px: Pixels a keypoint; 512 keypoints in 640×480 pixels are one in 600.
    """
    height, width = heat.shape[1:]
    highest = window_max(heat, _NMS_RADIUS_PX)
    inside = window_max(1 - shown.float(), _NMS_RADIUS_PX) == 0
    border = torch.zeros_like(inside)
    border[:, _BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX] = True
    peaks = heat.masked_fill((heat != highest) | ~inside | ~border, -1)
    scores, flat = peaks.flatten(1).topk(min(2 * height * width // area_px + 2, height * width), dim=1)
    xy = torch.stack([flat % width, flat // width], dim=2)
    chosen = (shown.flatten(1).sum(dim=1, keepdim=True) / area_px).round()
    rank = torch.arange(flat.shape[1], device=heat.device)
    return Candidates(xy, flat, (rank < 2 * chosen) & (scores > 0), (rank < chosen) & (scores > 0))


@dataclass(frozen=True, slots=True)
class FoundPairs:
    """Keypoints of B pairs of views, and which of a pair are the same.

    Attributes:
        first: `(B, M, 2) float32`, pixels, to a part of a pixel.
        second: `(B, M, 2)`, the same of the second views.
        counts: Two of `(B, M) bool`: which of both are keypoints.
        gaps_px: `(B, M, M)`, from where each of the first lies in the second view to each of that; infinite
            where one of both is none.
    """

    first: Tensor
    second: Tensor
    counts: tuple[Tensor, Tensor]
    gaps_px: Tensor

    def same(self, within_px: float) -> tuple[Tensor, Tensor]:
        """`(B, M) bool`: which of the first have a mutual nearest neighbour, and `(B, M)`: which it is."""
        gap, nearest = self.gaps_px.min(dim=2)
        back = self.gaps_px.argmin(dim=1).gather(1, nearest)
        mutual = back == torch.arange(back.shape[1], device=back.device)
        return mutual & (gap <= within_px), nearest


def find_pairs(heat: Tensor, views: Views, area_px: int) -> FoundPairs:
    """Keypoints of both views of each pair.

    Args:
        heat: `(2B, H, W)`, the first views and then the second ones.
        views: The B pairs.
        area_px: Pixels a keypoint.
    """
    candidates = find_candidates(heat, views.shown.flatten(0, 1).squeeze(1), area_px)
    first, second = refine(heat, candidates.xy.float()).chunk(2)
    of_first, of_second = candidates.chosen.chunk(2)
    gaps = torch.cdist(apply(views.across(), first), second)
    both = of_first.unsqueeze(2) & of_second.unsqueeze(1)
    return FoundPairs(first, second, (of_first, of_second), gaps.masked_fill(~both, torch.inf))
