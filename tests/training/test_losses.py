from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch

from realtime_kp.features.decode.torch_decoder import heatmap, sample_descriptors
from realtime_kp.training.losses import (
    agreement_loss,
    descriptor_loss,
    detection_loss,
    detection_targets,
    sample,
)
from realtime_kp.training.surfaces import single_surface
from realtime_kp.training.views import Views

SIZE_WH = (64, 48)


def test_targets_are_distributions_with_their_centre_on_the_label() -> None:
    xy = torch.tensor([[[20.3, 11.6], [40.0, 31.0]]])
    targets = detection_targets(xy, torch.ones(1, 2), SIZE_WH)
    assert torch.allclose(targets.sum(dim=1), torch.ones(1, 6, 8))
    heat = heatmap(targets.clamp_min(1e-30).log())[0]
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    left = heat[:, :32]
    assert float(left.sum()) == pytest.approx(1, abs=1e-4)
    assert float((left * x[:, :32]).sum()) == pytest.approx(20.3, abs=0.1)
    assert float((left * y[:, :32]).sum()) == pytest.approx(11.6, abs=0.1)


def test_a_label_that_is_not_visible_leaves_no_trace() -> None:
    xy = torch.tensor([[[20.0, 11.0]]])
    targets = detection_targets(xy, torch.zeros(1, 1), SIZE_WH)
    assert torch.equal(targets[:, -1], torch.ones(1, 6, 8))


def test_an_unsure_label_leaves_the_rest_to_no_keypoint() -> None:
    targets = detection_targets(torch.tensor([[[20.0, 12.0]]]), torch.tensor([[0.4]]), SIZE_WH)
    assert float(targets[0, :-1].sum()) == pytest.approx(0.4, abs=1e-5)
    assert float(targets[0, -1, 1, 2]) == pytest.approx(0.6, abs=1e-3)


def agreement(second_view_off_px: float) -> torch.Tensor:
    """Loss of two views that are 3 px apart, where the heat of the second one lies off by so much."""
    xy = torch.tensor([[[20.3, 11.6], [40.0, 31.0]]])
    shift = torch.tensor([3.0, 0.0])
    moved = torch.eye(3, dtype=torch.float64)
    moved[0, 2] = -3
    picture = single_surface(100)
    mass = torch.ones(1, 2)
    heats = [
        detection_targets(places, mass, SIZE_WH)
        for places in (xy, xy + shift + second_view_off_px * shift / 3)
    ]
    views = Views(
        torch.zeros(2, 1, 1, 48, 64),
        torch.zeros(2, 1, 1, 48, 64),
        torch.ones(2, 1, 1, 48, 64, dtype=torch.bool),
        torch.stack([xy, xy + shift]),
        torch.ones(2, 1, 2, dtype=torch.bool),
        mass,
        torch.stack([picture, picture @ moved]).view(2, 1, 1, 3, 3),
    )
    logits = torch.cat(heats).clamp_min(1e-30).log().requires_grad_()
    return agreement_loss(heatmap(logits), views)


def test_the_views_disagree_by_as_much_as_the_second_heat_lies_off() -> None:
    assert agreement(0).item() == pytest.approx(0, abs=0.06)
    assert agreement(0.8).item() == pytest.approx(0.8, abs=0.1)
    assert agreement(0.8).requires_grad


def test_the_detection_loss_is_least_for_the_targets_themselves() -> None:
    xy = torch.tensor([[[20.3, 11.6], [40.0, 31.0]]])
    targets = detection_targets(xy, torch.ones(1, 2), SIZE_WH)
    shown = torch.ones(1, 1, 48, 64, dtype=torch.bool)
    right = detection_loss(targets.clamp_min(1e-9).log(), targets, shown)
    wrong = detection_loss(targets.roll(1, dims=3).clamp_min(1e-9).log(), targets, shown)
    uniform = detection_loss(torch.zeros_like(targets), targets, shown)
    assert float(right) < float(wrong)
    assert float(uniform) == pytest.approx(math.log(65), rel=1e-4)
    hidden = detection_loss(targets.roll(1, dims=3), targets, torch.zeros_like(shown))
    assert float(hidden) == 0


def test_descriptors_are_sampled_where_the_product_samples_them() -> None:
    generator = torch.Generator().manual_seed(0)
    descriptors = torch.randn(2, 16, 6, 8, generator=generator)
    xy = 4 + torch.rand(2, 30, 2, generator=generator) * torch.tensor([55.0, 39.0])
    theirs = sample_descriptors(descriptors.permute(0, 2, 3, 1).contiguous(), xy, "exact")
    assert torch.allclose(sample(descriptors, xy), theirs, atol=1e-5)


def pair(descriptors_alike: bool) -> tuple[torch.Tensor, Views]:
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
    xy = torch.stack([x, y], -1).reshape(1, -1, 2) * 8.0 + 3.5
    first = torch.randn(1, 32, 6, 8, generator=generator)
    second = first if descriptors_alike else torch.randn(1, 32, 6, 8, generator=generator)
    shown = torch.ones(2, 1, 1, 48, 64, dtype=torch.bool)
    visible = torch.ones(2, 1, 48, dtype=torch.bool)
    still = single_surface(100).expand(2, 1, 1, 3, 3)
    empty = torch.zeros(2, 1, 1, 48, 64)
    views = Views(empty, empty, shown, torch.stack([xy, xy]), visible, torch.ones(1, 48), still)
    return torch.stack([first, second]), views


def test_alike_descriptors_have_no_loss_and_random_ones_that_of_guessing() -> None:
    temperature = torch.tensor(math.log(0.05))
    loss, right = descriptor_loss(*pair(True), temperature, torch.Generator().manual_seed(0))
    assert float(loss) < 0.01
    assert float(right) == 1
    loss, right = descriptor_loss(*pair(False), temperature, torch.Generator().manual_seed(0))
    assert float(loss) > math.log(48) * 0.9
    assert float(right) < 0.2


def test_points_within_a_cell_are_no_negatives() -> None:
    descriptors, views = pair(True)
    crowded = replace(views, xy=views.xy * 0 + 20 + torch.arange(48).view(1, 1, -1, 1) * 0.1)
    loss, _ = descriptor_loss(descriptors, crowded, torch.tensor(0.0), torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(0, abs=1e-5)


def test_points_of_other_pairs_are_negatives() -> None:
    descriptors, views = pair(True)
    parts = {f.name: getattr(views, f.name) for f in fields(views)}
    twice = Views(**{name: torch.cat([x, x], dim=0 if name == "mass" else 1) for name, x in parts.items()})
    alone, _ = descriptor_loss(descriptors, views, torch.tensor(0.0), torch.Generator().manual_seed(0))
    doubled = torch.cat([descriptors, descriptors], dim=1)
    both, right = descriptor_loss(doubled, twice, torch.tensor(0.0), torch.Generator().manual_seed(0))
    # Each point has a twin in the other pair: twice as many to choose from, equally alike.
    assert float(both) == pytest.approx(float(alone) + math.log(2), abs=0.02)
    assert float(right) > 0.3
