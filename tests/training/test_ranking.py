from __future__ import annotations

import math

import torch

from realtime_kp.features.decode.torch_decoder import heatmap
from realtime_kp.training.losses import detection_targets
from realtime_kp.training.ranking import ranking_loss
from tests.training.moved_views import moved_views

SIZE_WH = (160, 120)
SHIFT_PX = 3.0
# 160 × 120 pixels have room for 32 chosen keypoints, and 64 that are looked at.
PLACES = torch.tensor([[20.0 + 10 * (i % 12), 20 + 10 * (i // 12)] for i in range(96)])
COMMON = PLACES[:20]


def logits(*peaks: tuple[torch.Tensor, float]) -> torch.Tensor:
    """Of one view: keypoints at these places, with these scores."""
    xy = torch.cat([places for places, _ in peaks]).unsqueeze(0)
    mass = torch.cat([torch.full((len(places),), score) for places, score in peaks]).unsqueeze(0)
    return detection_targets(xy, mass, SIZE_WH).clamp_min(1e-6).log()


def loss_of(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(ranking_loss(heatmap(torch.cat([first, second])), moved_views(SHIFT_PX)))


def both_with_lost(common_score: float, lost_score: float) -> float:
    """Both views find the common places, each 20 more where the other finds nothing."""
    moved = torch.tensor([SHIFT_PX, 0])
    first = logits((COMMON, common_score), (PLACES[24:44], lost_score))
    second = logits((COMMON + moved, common_score), (PLACES[60:80] + moved, lost_score))
    return loss_of(first, second)


def test_what_comes_back_should_score_above_what_is_lost() -> None:
    right, wrong = both_with_lost(0.9, 0.3), both_with_lost(0.3, 0.9)
    assert right < math.log(2) < wrong


def test_a_neighbour_some_pixels_off_is_none() -> None:
    """Half of the places come back 2 px off, the others exactly: these belong above those."""
    moved = torch.tensor([SHIFT_PX, 0])
    off = moved + torch.tensor([0, 2.0])
    low, high = logits((COMMON[:10], 0.8), (COMMON[10:], 0.4)), logits((COMMON[:10], 0.4), (COMMON[10:], 0.8))
    second = logits((COMMON[:10] + off, 0.6), (COMMON[10:] + moved, 0.6))
    assert loss_of(high, second) < loss_of(low, second)


def test_what_no_view_shows_does_not_count() -> None:
    both = torch.cat([logits((COMMON, 0.3)), logits((PLACES[40:60], 0.9))])
    heat = heatmap(both)
    assert float(ranking_loss(heat, moved_views(SHIFT_PX, shown=False))) == 0
    assert float(ranking_loss(heat, moved_views(SHIFT_PX))) == 0, "nothing has come back: no pair to rank"


def test_the_gradient_lifts_what_comes_back() -> None:
    moved = torch.tensor([SHIFT_PX, 0])
    first = logits((COMMON, 0.4), (PLACES[24:44], 0.6))
    both = torch.cat([first, logits((COMMON + moved, 0.5))]).requires_grad_()
    ranking_loss(heatmap(both), moved_views(SHIFT_PX)).backward()
    assert both.grad is not None
    keypoint_part = both.grad[0, :64]
    rows, columns = (COMMON[:, 1] // 8).long(), (COMMON[:, 0] // 8).long()
    lost_rows, lost_columns = (PLACES[24:44, 1] // 8).long(), (PLACES[24:44, 0] // 8).long()
    assert keypoint_part[:, rows, columns].amin(dim=0).max() < 0
    assert keypoint_part[:, lost_rows, lost_columns].amax(dim=0).min() > 0
