from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from realtime_kp import SuperPoint
from realtime_kp.errors import ModelError
from realtime_kp.features.models import find_model
from realtime_kp.features.network import KeypointNetwork, SuperPointNetwork
from realtime_kp.features.transformers_weights import load_weights
from realtime_kp.sources import procedural_picture
from realtime_kp.training.architecture import SHAPES, TrainableSuperPoint, new_network
from realtime_kp.training.batch_norm_unfolding import unfold_batch_norm
from realtime_kp.training.devices import supports_bf16, supports_compile
from realtime_kp.training.export import export
from realtime_kp.training.recipe import Recipe
from realtime_kp.training.trainer import Trainer
from realtime_kp.training.views import TileSet

RECIPE = Recipe("small", steps=20, batch=2, size_wh=(96, 96))


@pytest.fixture(scope="module")
def tiles() -> TileSet:
    grey = cv2.cvtColor(procedural_picture((352, 352), 0), cv2.COLOR_BGR2GRAY)
    corners = cv2.goodFeaturesToTrack(grey, 200, 0.001, 6).reshape(1, -1, 2)
    return TileSet(torch.from_numpy(grey[None]), torch.from_numpy(corners), torch.ones(corners.shape[:2]))


def trained(steps: int, tiles: TileSet) -> Trainer:
    trainer = Trainer(RECIPE, tiles)
    for _ in range(steps):
        trainer.train_step()
    return trainer


def parameters(trainer: Trainer) -> torch.Tensor:
    both = [*trainer.model.state_dict().values(), *trainer.average.state_dict().values()]
    return torch.cat([value.float().flatten() for value in both])


def changed(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def resumes_exactly(trainer: Trainer, tiles: TileSet, path: Path) -> None:
    trainer.save(path)
    resumed = Trainer.resumed(path, tiles)
    assert resumed.train_step() == trainer.train_step()
    assert torch.equal(parameters(resumed), parameters(trainer))


def test_the_losses_fall_within_ten_steps(tiles: TileSet) -> None:
    trainer = Trainer(RECIPE, tiles)
    before = [trainer.train_step() for _ in range(10)][:3]
    # The number of the step decides the views: some pairs are far harder than others.
    trainer.step = 0
    after = [trainer.train_step() for _ in range(3)]
    for name in ("detection", "descriptor"):
        assert np.mean([getattr(s, name) for s in after]) < np.mean([getattr(s, name) for s in before])


def test_resuming_is_exact(tiles: TileSet, tmp_path: Path) -> None:
    whole = trained(6, tiles)
    half = trained(3, tiles)
    half.save(tmp_path / "checkpoint.pt")
    resumed = Trainer.resumed(tmp_path / "checkpoint.pt", tiles)
    assert resumed.step == 3
    assert resumed.recipe == RECIPE
    for _ in range(3):
        resumed.train_step()
    assert torch.equal(parameters(resumed), parameters(whole))


def test_what_is_no_checkpoint_is_refused(tiles: TileSet, tmp_path: Path) -> None:
    torch.save({"step": 3}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="is not a checkpoint"):
        Trainer.resumed(tmp_path / "other.pt", tiles)


def test_a_wide_network_starts_with_the_keypoints_of_a_narrow_one(tiles: TileSet, tmp_path: Path) -> None:
    narrow = trained(4, tiles)
    narrow.save(tmp_path / "checkpoint.pt")
    wide = Trainer(replace(RECIPE, arch="base"), tiles)
    wide.start_from(tmp_path / "checkpoint.pt")
    grey = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        (logits, descriptors), (expected, described) = wide.average(grey), narrow.average(grey)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(descriptors[:, :128], described, atol=1e-4, rtol=1e-4)
    listening = wide.model.blocks[0][1][0].weight[:16, 16:]
    assert not bool(listening.any())
    wide.train_step()
    assert bool(listening.any())


@pytest.mark.parametrize("arch", ["small", "base"])
def test_a_shipped_network_is_gone_on_with(arch: str, tiles: TileSet) -> None:
    """Its normalisations were folded away; with new ones it says the same, and learns."""
    recipe = replace(RECIPE, arch=arch, batch=6, size_wh=(192, 160))  # type: ignore[arg-type]
    before = Trainer(recipe, tiles).train_step()
    trainer = Trainer(recipe, tiles)
    trainer.start_from("small")
    grey = torch.randint(0, 256, (2, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        logits, descriptors = trainer.average(grey.unsqueeze(1) / 255)
        expected = SuperPointNetwork(load_weights("small").model)(grey)
    torch.testing.assert_close(logits, expected[0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(descriptors.permute(0, 2, 3, 1)[..., :128], expected[1], atol=1e-3, rtol=1e-3)
    # What is used in a step goes by the means of its own images, which are near to those of others.
    losses = trainer.train_step()
    assert losses.detection < 0.8 * before.detection
    assert losses.right > 0.5 > before.right


def test_a_network_made_elsewhere_is_not_gone_on_with(tiles: TileSet, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    export(TrainableSuperPoint(SHAPES["small"]), folder)
    config = (folder / "config.json").read_text().replace('"exact"', '"transformers"')
    (folder / "config.json").write_text(config)
    with pytest.raises(ModelError, match=r"descriptor_grid: exact"):
        Trainer(RECIPE, tiles).start_from(folder)


def test_a_narrow_network_cannot_start_from_a_wide_one(tiles: TileSet, tmp_path: Path) -> None:
    Trainer(replace(RECIPE, arch="base"), tiles).save(tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="cannot hold"):
        Trainer(RECIPE, tiles).start_from(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("arch", ["base", "small", "nano"])
def test_folding_and_unfolding_are_exact(arch: str) -> None:
    torch.manual_seed(0)
    network = new_network(SHAPES[arch])  # type: ignore[index]
    network.train()
    for _ in range(3):
        network(torch.rand(2, 1, 48, 64))
    network.eval()
    grey = torch.randint(0, 256, (2, 48, 64), dtype=torch.uint8)
    with torch.no_grad():
        logits, descriptors = network(grey.unsqueeze(1) / 255)
        folded = network.folded()
        plain = folded if isinstance(folded, KeypointNetwork) else SuperPointNetwork(folded)
        theirs = plain(grey)
        again = new_network(plain.shape)
        unfold_batch_norm(again, plain.convolutions(), grey.unsqueeze(1) / 255)
        unfolded = again(grey.unsqueeze(1) / 255)
    torch.testing.assert_close(theirs[0], logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(theirs[1], descriptors.permute(0, 2, 3, 1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(unfolded, (logits, descriptors), atol=1e-4, rtol=1e-4)


def test_a_residual_network_is_written_read_and_gone_on_with(tiles: TileSet, tmp_path: Path) -> None:
    trainer = Trainer(replace(RECIPE, arch="nano"), tiles)
    for _ in range(3):
        trainer.train_step()
    folder = tmp_path / "model"
    export(trainer.average, folder)
    assert (folder / "model.safetensors").stat().st_size < 1_000_000
    model = find_model(str(folder))
    assert model.descriptor_dim == SHAPES["nano"].descriptor
    grey = torch.randint(0, 256, (1, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        expected = trainer.average(grey.unsqueeze(1) / 255)[0]
        found = model.network()(grey)[0]
        other = Trainer(replace(RECIPE, arch="nano", batch=4), tiles)
        other.start_from(folder)
        again = other.average(grey.unsqueeze(1) / 255)[0]
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)  # fp16
    torch.testing.assert_close(again, found, atol=1e-3, rtol=1e-3)
    with pytest.raises(ModelError, match=r"cannot be started from: a network of .* cannot hold one of"):
        Trainer(RECIPE, tiles).start_from(folder)


def test_the_folder_is_loaded_by_transformers_and_by_the_product(tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, SuperPointForKeypointDetection

    torch.manual_seed(0)
    network = TrainableSuperPoint(SHAPES["small"]).eval()
    export(network, tmp_path / "model")
    model = SuperPointForKeypointDetection.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.float32
    assert model.config.descriptor_grid == "exact"
    assert model.config.encoder_hidden_sizes == [16, 32, 64, 128]
    assert AutoImageProcessor.from_pretrained(tmp_path / "model").do_grayscale
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 1_500_000
    image = procedural_picture((128, 96), 0)
    with SuperPoint(model=str(tmp_path / "model"), resize="128x96", keypoint_threshold=0.0) as superpoint:
        assert superpoint(image).descriptors.shape[1] == 128


def test_ranking_changes_what_is_learned(tiles: TileSet) -> None:
    without, ranked = Trainer(RECIPE, tiles), Trainer(replace(RECIPE, ranking=1.0), tiles)
    assert without.train_step().ranking == ranked.train_step().ranking > 0
    assert not torch.equal(parameters(without), parameters(ranked))


def test_what_is_found_teaches_descriptors_too(tiles: TileSet) -> None:
    recipe = replace(RECIPE, size_wh=(160, 160))
    without, taught = Trainer(recipe, tiles), Trainer(replace(recipe, found=0.5), tiles)
    for trainer in (without, taught):
        trainer.start_from("small")
    assert without.train_step() == taught.train_step()
    names = changed(taught.model, without.model.state_dict())
    assert {name.split("_")[0].split(".")[0] for name in names} == {"blocks", "descriptor"}


def test_frozen_blocks_stay_and_what_follows_learns(tiles: TileSet, tmp_path: Path) -> None:
    trainer = Trainer(replace(RECIPE, frozen_blocks=2), tiles)
    trainer.start_from("small")
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    for _ in range(2):
        trainer.train_step()
    frozen = {name for name in before if name.startswith(("blocks.0.", "blocks.1."))}
    for model in (trainer.model, trainer.average):
        names = changed(model, before)
        assert frozen.isdisjoint(names)
        assert {name.rpartition(".")[0] for name in names} == {
            name.rpartition(".")[0] for name in set(before) - frozen
        }
    resumes_exactly(trainer, tiles, tmp_path / "checkpoint.pt")


def test_a_step_is_not_much_slower_than_in_the_other_precision() -> None:
    """Timed: the processor's own word may be wrong."""
    network = TrainableSuperPoint(SHAPES["small"]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grey = torch.rand(4, 1, 192, 256).contiguous(memory_format=torch.channels_last)

    def step_s(half: bool) -> float:
        started_s = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits, descriptors = network(grey)
        (logits.float().mean() + descriptors.float().mean()).backward()
        return time.perf_counter() - started_s

    rounds = [(step_s(False), step_s(True)) for _ in range(5)]
    times_s = np.min(rounds, axis=0)
    assert times_s[int(supports_bf16(torch.device("cpu")))] < 1.5 * times_s.min()


def test_without_a_compiler_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(function: object) -> object:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(torch, "compile", fails)
    assert not supports_compile(torch.device("cpu"))
    assert "without torch.compile, slower: Failed to find C compiler" in caplog.text


def test_descriptors_alone_leave_keypoints_exactly_as_they_are(tiles: TileSet, tmp_path: Path) -> None:
    recipe = replace(RECIPE, size_wh=(160, 160), rate=1e-3, descriptors_alone=True)
    trainer = Trainer(recipe, tiles)
    trainer.start_from("small")
    before = {name: value.clone() for name, value in trainer.average.state_dict().items()}
    losses = [trainer.train_step() for _ in range(10)]
    assert losses[0].detection == 0
    assert 0.1 < losses[0].right <= 1
    trainer.step = 0
    again = [trainer.train_step() for _ in range(3)]
    assert np.mean([s.descriptor for s in again]) < np.mean([s.descriptor for s in losses[:3]])
    for model in (trainer.model, trainer.average):
        names = changed(model, before)
        assert names
        assert all(name.startswith("descriptor_") for name in names)
    resumes_exactly(trainer, tiles, tmp_path / "checkpoint.pt")
