from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from realtime_kp.errors import ModelError
from realtime_kp.features.models import find_model
from realtime_kp.sources import procedural_picture
from realtime_kp.training.distillation import (
    Taught,
    Teacher,
    fitted_directions,
    imitation_loss,
    labelled,
    principal_directions,
)
from realtime_kp.training.recipe import Recipe
from realtime_kp.training.trainer import Trainer
from realtime_kp.training.views import TileSet, Views, make_views

SIZE_WH = (160, 160)
RECIPE = Recipe("nano", steps=20, batch=2, size_wh=SIZE_WH, agreement=1.0, teacher="small")


@pytest.fixture(scope="module")
def tiles() -> TileSet:
    grey = cv2.cvtColor(procedural_picture((352, 352), 0), cv2.COLOR_BGR2GRAY)
    return TileSet(torch.from_numpy(grey[None]), torch.zeros(1, 1, 2), torch.zeros(1, 1))


@pytest.fixture(scope="module")
def views(tiles: TileSet) -> Views:
    return make_views(tiles, 2, SIZE_WH, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def taught(views: Views) -> Taught:
    return Teacher("small", torch.device("cpu"), 64)(views)


def test_the_teacher_sees_the_views_before_light_and_noise(views: Views, taught: Taught) -> None:
    grey = (views.clean.flatten(0, 1).squeeze(1) * 255).round().to(torch.uint8)
    with torch.no_grad():
        logits, maps = find_model("small").network()(grey)
    # The engine may compute in half precision.
    assert float((taught.cells - logits.softmax(dim=1)).abs().mean()) < 1e-3
    theirs = taught.descriptors.flatten(0, 1).permute(0, 2, 3, 1)
    assert float(torch.cosine_similarity(theirs, maps, dim=3).mean()) > 0.99
    assert not torch.allclose(views.clean, views.grey, atol=0.02)


def test_what_it_finds_in_both_views_are_labels(views: Views, taught: Taught) -> None:
    labels = labelled(views, taught.found)
    seen = labels.visible.all(dim=0)
    assert int(seen.sum()) > 20
    assert torch.equal(labels.mass > 0, seen)
    gaps = (views.across(labels.xy[0])[0] - labels.xy[1]).norm(dim=2)
    assert float(gaps[seen].max()) <= 3


def test_directions_are_orthonormal_and_keep_most_of_the_cosines(taught: Taught) -> None:
    directions = principal_directions([taught], 64)
    assert torch.allclose(directions @ directions.T, torch.eye(64), atol=1e-4)
    rows = torch.nn.functional.normalize(taught.descriptors.permute(0, 1, 3, 4, 2).reshape(-1, 128), dim=1)
    kept = rows @ directions.T
    assert float(kept.square().sum()) > 0.9 * len(rows)
    assert torch.equal(principal_directions([taught], 128), torch.eye(128))
    with pytest.raises(ModelError, match="descriptors of 128, the network to train of 256"):
        Teacher("small", torch.device("cpu"), 256)


def test_a_trained_student_keeps_its_own_directions(tiles: TileSet, taught: Taught) -> None:
    """Those of its descriptors, whatever basis they have."""
    basis, _ = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)))
    directions = basis @ principal_directions([taught], 64)
    own = torch.einsum("kd,vbdhw->vbkhw", directions, taught.descriptors)
    fitted = fitted_directions([own], [taught])
    assert torch.allclose(fitted @ fitted.T, torch.eye(64), atol=1e-4)
    assert float(imitation_loss(own, taught, fitted)) < 0.01
    trainer = Trainer(replace(RECIPE, teacher="base", seed=3), tiles)
    trainer.start_from("nano")
    assert trainer.train_step().imitation < 0.5


def test_the_projected_descriptors_of_the_teacher_are_what_is_to_be_learned(taught: Taught) -> None:
    directions = principal_directions([taught], 64)
    projected = torch.einsum("kd,vbdhw->vbkhw", directions, taught.descriptors)
    # Samples are interpolated between unit descriptors of cells, whose lengths the projection changes.
    assert float(imitation_loss(projected, taught, directions)) < 0.01
    assert float(imitation_loss(-projected, taught, directions)) > 1.9
    shuffled = projected.roll(5, dims=4)
    assert float(imitation_loss(shuffled, taught, directions)) > 0.3


def test_a_student_comes_nearer_to_its_teacher(tiles: TileSet) -> None:
    trainer = Trainer(replace(RECIPE, rate=4e-3), tiles)
    before = [trainer.train_step() for _ in range(25)][:3]
    trainer.step = 0
    after = [trainer.train_step() for _ in range(3)]
    for name in ("detection", "imitation", "descriptor"):
        assert sum(getattr(s, name) for s in after) < sum(getattr(s, name) for s in before), name
    assert before[0].ranking == 0


def test_resuming_with_a_teacher_is_exact(tiles: TileSet, tmp_path: Path) -> None:
    trainer = Trainer(RECIPE, tiles)
    trainer.train_step()
    trainer.save(tmp_path / "checkpoint.pt")
    resumed = Trainer.resumed(tmp_path / "checkpoint.pt", tiles)
    assert resumed.train_step() == trainer.train_step()


def test_ranking_and_own_keypoints_can_be_learned_beside_a_teacher(tiles: TileSet) -> None:
    trainer = Trainer(replace(RECIPE, ranking=1.0, found=0.5), tiles)
    assert trainer.train_step().ranking > 0
