from __future__ import annotations

import pytest
import torch

from realtime_kp.training.detected_keypoints import DetectedPairs, detect_pairs
from realtime_kp.training.losses import detected_descriptor_loss
from tests.training.moved_views import moved_views

# 160 × 120 pixels have room for 48 keypoints with one in 400.
AREA_PX = 400
SHIFT_PX = 8.0
COMMON = torch.tensor([[24.0 + 16 * (i % 7), 24 + 16 * (i // 7)] for i in range(28)])
LOST = COMMON[:7] + torch.tensor([8.0, 64.0])


def heat(off_px: float = 0.0) -> torch.Tensor:
    """The second view finds all but the last row of the first, so much below their places."""
    maps = torch.zeros(2, 120, 160)
    moved = COMMON + torch.tensor([SHIFT_PX, off_px])
    for image, places in zip(maps, (torch.cat([COMMON, LOST]), moved), strict=True):
        x, y = places.long().T
        image[y, x] = 0.5
    return maps


@pytest.mark.parametrize(("off_px", "same"), [(0.0, 28), (2.0, 28), (4.0, 0)])
def test_keypoints_within_three_pixels_of_their_places_are_the_same(off_px: float, same: int) -> None:
    pairs = detect_pairs(heat(off_px), moved_views(SHIFT_PX), AREA_PX)
    same_place, nearest = pairs.same(3.0)
    assert int(pairs.counts[0].sum()) == 35
    assert int(pairs.counts[1].sum()) == 28
    assert int(same_place.sum()) == same
    gaps = pairs.second[0, nearest[0][same_place[0]]] - pairs.first[0][same_place[0]]
    assert torch.allclose(gaps, torch.tensor([SHIFT_PX, off_px]).expand_as(gaps), atol=0.01)


def found() -> DetectedPairs:
    return detect_pairs(heat(), moved_views(SHIFT_PX), AREA_PX)


def descriptors(shift_px: float) -> torch.Tensor:
    """`(2, 1, D, 15, 20)`: each cell of its own kind, in the second view that many pixels further on."""
    kinds = torch.randn(64, 15, 20, generator=torch.Generator().manual_seed(0))
    return torch.stack([kinds, kinds.roll(int(shift_px) // 8, dims=2)]).unsqueeze(1)


def test_descriptors_that_move_along_are_right_and_others_wrong() -> None:
    temperature = torch.tensor(0.1).log()
    loss, right = detected_descriptor_loss(found(), descriptors(SHIFT_PX), temperature)
    assert right == 1
    wrong_loss, wrong = detected_descriptor_loss(found(), descriptors(32), temperature)
    assert wrong < 0.2
    assert wrong_loss > loss + 1


def test_what_only_one_view_finds_is_a_rival() -> None:
    """With the descriptor of another keypoint, one that the second view lacks takes its match away."""
    temperature = torch.tensor(0.1).log()
    kinds = descriptors(SHIFT_PX)
    alike = kinds.clone()
    (x, y), (lost_x, lost_y) = (((place - 3.5) / 8).round().long() for place in (COMMON[3], LOST[3]))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            alike[0, 0, :, lost_y + dy, lost_x + dx] = kinds[0, 0, :, y + dy, x + dx]
    loss, _ = detected_descriptor_loss(found(), kinds, temperature)
    worse, _ = detected_descriptor_loss(found(), alike, temperature)
    assert worse > loss + 0.005


def test_nothing_found_is_no_loss() -> None:
    temperature = torch.tensor(0.1).log()
    nothing = detect_pairs(torch.zeros(2, 120, 160), moved_views(SHIFT_PX), AREA_PX)
    loss, right = detected_descriptor_loss(nothing, descriptors(0).requires_grad_(), temperature)
    assert torch.isfinite(loss)
    assert right <= 1
