"""Keypoints detected by the network in the views of a step: highest peaks after non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from realtime_kp.features.decode.suppression import window_max
from realtime_kp.features.decode.torch_decoder import refine
from realtime_kp.training.views import Views

Tensor = torch.Tensor

_NMS_RADIUS_PX = 4
_BORDER_PX = 4


@dataclass(frozen=True, slots=True)
class Candidates:
    """Highest peaks of each of N views, in order.

    Attributes:
        xy: `(N, M, 2)`, whole pixels.
        flat: `(N, M)`, the same as an index into the view.
        known: `(N, M) bool`, valid candidates: twice as many as are chosen.
        chosen: `(N, M) bool`, the candidates that inference would keep at the given density.
    """

    xy: Tensor
    flat: Tensor
    known: Tensor
    chosen: Tensor


def detect_candidates(heat: Tensor, shown: Tensor, area_px: int) -> Candidates:
    """Peaks well inside the part of each view that shows its tile.

    Args:
        heat: `(N, H, W)`, heat maps.
        shown: `(N, H, W) bool`, pixels that show the tile.
        area_px: Pixels per keypoint; 512 keypoints in 640×480 pixels are one in 600.
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
class DetectedPairs:
    """Keypoints of B pairs of views, and the distances between them.

    Attributes:
        first: `(B, M, 2) float32`, pixels of the first views, with sub-pixel accuracy.
        second: `(B, M, 2)`, the same of the second views.
        counts: Two of `(B, M) bool`: which entries are keypoints.
        gaps_px: `(B, M, M)`, distance in the second view from the mapped position of each first keypoint to
            each second one; infinite where one of both is no keypoint, or where the second view hides
            that position.
    """

    first: Tensor
    second: Tensor
    counts: tuple[Tensor, Tensor]
    gaps_px: Tensor

    def same(self, within_px: float) -> tuple[Tensor, Tensor]:
        """Mutual nearest neighbours.

        Args:
            within_px: Largest distance of a pair.

        Returns:
            `(B, M) bool`, which first keypoints have one, and `(B, M)`, its index.
        """
        gap, nearest = self.gaps_px.min(dim=2)
        back = self.gaps_px.argmin(dim=1).gather(1, nearest)
        mutual = back == torch.arange(back.shape[1], device=back.device)
        return mutual & (gap <= within_px), nearest


@torch.no_grad()
def detect_pairs(heat: Tensor, views: Views, area_px: int) -> DetectedPairs:
    """Detect keypoints in both views of each pair; no gradient flows into their positions.

    Args:
        heat: `(2B, H, W)`, heat maps of the first views and then of the second ones.
        views: The B pairs.
        area_px: Pixels per keypoint.
    """
    candidates = detect_candidates(heat, views.shown.flatten(0, 1).squeeze(1), area_px)
    first, second = refine(heat, candidates.xy.float()).chunk(2)
    of_first, of_second = candidates.chosen.chunk(2)
    there, seen = views.across(first)
    gaps = torch.cdist(there, second)
    both = (of_first & seen).unsqueeze(2) & of_second.unsqueeze(1)
    return DetectedPairs(first, second, (of_first, of_second), gaps.masked_fill(~both, torch.inf))
