"""The training loop: one object with all state that a checkpoint contains."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from realtime_kp.errors import ModelError
from realtime_kp.features.decode.torch_decoder import heatmap
from realtime_kp.features.models import find_model
from realtime_kp.training.architecture import SHAPES, TrainableNetwork, new_network
from realtime_kp.training.batch_norm_unfolding import unfold_batch_norm
from realtime_kp.training.detected_keypoints import detect_pairs
from realtime_kp.training.devices import supports_bf16, supports_compile
from realtime_kp.training.distillation import (
    Teacher,
    fitted_directions,
    imitation_loss,
    labelled,
    principal_directions,
)
from realtime_kp.training.losses import (
    FOUND_AREA_PX,
    agreement_loss,
    descriptor_loss,
    detected_descriptor_loss,
    detection_loss,
    detection_targets,
)
from realtime_kp.training.network_widening import widen_network
from realtime_kp.training.ranking import ranking_loss
from realtime_kp.training.recipe import BROKEN, Recipe, checkpoint
from realtime_kp.training.views import TileSet, Views, make_views

_WARM_UP_STEPS = 100
_FINAL_RATE = 0.01
_EMA = 0.998
_CLIP = 5.0
_UNFOLDING_PAIRS = 16
_DESCRIPTOR_WEIGHT = 0.5
_IMITATION_WEIGHT = 1.0
_SAMPLED_STEPS = 12


@dataclass(frozen=True, slots=True)
class StepLosses:
    """Losses of one step.

    Attributes:
        detection: Cross entropy of the cells.
        descriptor: InfoNCE on labels, or on detected keypoints where only the descriptor head is trained or a
            teacher tells what to learn.
        agreement: Distance between the positions of a keypoint in the two views, pixels.
        ranking: Logistic loss of unrepeatable keypoints that rank above repeatable ones.
        right: Share of the points whose nearest descriptor in the other view is their own.
        imitation: One minus the cosine between descriptors and those of the teacher.
    """

    detection: float
    descriptor: float
    agreement: float
    ranking: float
    right: float
    imitation: float = 0.0


class Trainer:
    """Trains one network.

    A step depends only on seed, step number and weights, so that resuming is exact on a CPU; on a GPU the
    order of summation of gradients varies between runs.

    Args:
        recipe: Settings.
        tiles: Images and labels, on the device of the training.
    """

    def __init__(self, recipe: Recipe, tiles: TileSet) -> None:
        self.recipe = recipe
        self.step = 0
        self._tiles = tiles
        device = tiles.images.device
        torch.manual_seed(recipe.seed)
        self.model: TrainableNetwork = new_network(SHAPES[recipe.arch]).to(device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._half = supports_bf16(device)
        # Compiling does not pay on a CPU: the convolutions are library calls either way.
        compiles = device.type == "cuda" and supports_compile(device)
        self._network = torch.compile(self.model) if compiles else self.model
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._is_trained = False
        self._teacher: Teacher | None = None
        self._directions = torch.zeros(0, device=device)
        self._log_temperature = torch.nn.Parameter(torch.tensor(math.log(0.07), device=device))
        self.model.requires_grad_(not recipe.descriptors_alone)
        for head in self.model.descriptor_head():
            head.requires_grad_(True)
        for block in self._frozen():
            block.requires_grad_(False)
        learned = [weights for weights in self.model.parameters() if weights.requires_grad]
        parameters = [*learned, self._log_temperature]
        self._optimiser = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=1e-4)

    def train_step(self) -> StepLosses:
        """Run one step of the optimiser."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        recipe = self.recipe
        views = make_views(self._tiles, recipe.batch, recipe.size_wh, generator, recipe.zoom)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        self.model.train(not recipe.descriptors_alone)
        for block in self._frozen():
            block.eval()
        images = views.grey.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._half):
            logits, descriptors = self._network(images)
        pairs = descriptors.view(2, -1, *descriptors.shape[1:])
        if recipe.teacher is not None:
            loss, losses = self._losses_of_teacher(self._taught_by(recipe.teacher), views, logits, pairs)
        elif recipe.descriptors_alone:
            loss, losses = self._losses_on_detections(views, heatmap(logits), pairs)
        else:
            loss, losses = self._losses_on_labels(views, logits, pairs, generator)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP)
        self._optimiser.step()
        self._update_average()
        self.step += 1
        return StepLosses(*torch.stack(losses).tolist())

    def _losses_on_labels(
        self, views: Views, logits: torch.Tensor, pairs: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        visible_mass = (views.visible * views.mass).flatten(0, 1)
        targets = detection_targets(views.xy.flatten(0, 1), visible_mass, self.recipe.size_wh)
        detection = detection_loss(logits, targets, views.shown.flatten(0, 1))
        heat = heatmap(logits)
        agreement = agreement_loss(heat, views)
        ranking = ranking_loss(heat, views)
        description, right = descriptor_loss(pairs, views, self._log_temperature, generator)
        loss = detection + self.recipe.agreement * agreement + self.recipe.ranking * ranking
        loss = loss + _DESCRIPTOR_WEIGHT * description
        if self.recipe.found:
            loss = loss + self.recipe.found * self._loss_on_detections(views, heat, pairs)[0]
        return loss, [detection, description, agreement, ranking, right]

    def _loss_on_detections(
        self, views: Views, heat: torch.Tensor, pairs: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found = detect_pairs(heat, views, FOUND_AREA_PX)
        return detected_descriptor_loss(found, pairs, self._log_temperature)

    def _losses_on_detections(
        self, views: Views, heat: torch.Tensor, pairs: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        description, right = self._loss_on_detections(views, heat, pairs)
        nothing = torch.zeros_like(right)
        return description, [nothing, description, nothing, nothing, right]

    def _losses_of_teacher(
        self, teacher: Teacher, views: Views, logits: torch.Tensor, pairs: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        recipe, heat, taught = self.recipe, heatmap(logits), teacher(views)
        detection = detection_loss(logits, taught.cells, views.shown.flatten(0, 1))
        agreement = agreement_loss(heat, labelled(views, taught.found))
        ranking = ranking_loss(heat, views) if recipe.ranking else torch.zeros_like(agreement)
        description, right = detected_descriptor_loss(taught.found, pairs, self._log_temperature)
        imitation = imitation_loss(pairs, taught, self._directions)
        loss = detection + recipe.agreement * agreement + recipe.ranking * ranking
        loss = loss + _DESCRIPTOR_WEIGHT * description + _IMITATION_WEIGHT * imitation
        if recipe.found:
            loss = loss + recipe.found * self._loss_on_detections(views, heat, pairs)[0]
        return loss, [detection, description, agreement, ranking, right, imitation]

    def _taught_by(self, model: str) -> Teacher:
        """The teacher; with the first step also the directions onto which its descriptors are projected."""
        if self._teacher is None:
            self._teacher = Teacher(model, self._tiles.images.device, SHAPES[self.recipe.arch].descriptor)
        if not len(self._directions):
            self._directions = self._choose_directions(self._teacher)
        return self._teacher

    @torch.no_grad()
    def _choose_directions(self, teacher: Teacher) -> torch.Tensor:
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed)
        sampled = [
            make_views(self._tiles, recipe.batch, recipe.size_wh, generator, recipe.zoom)
            for _ in range(_SAMPLED_STEPS)
        ]
        samples = [teacher(views) for views in sampled]
        if not self._is_trained:
            return principal_directions(samples, SHAPES[recipe.arch].descriptor)
        maps = [self.average(views.grey.flatten(0, 1))[1] for views in sampled]
        return fitted_directions([each.view(2, -1, *each.shape[1:]) for each in maps], samples)

    def _frozen(self) -> torch.nn.ModuleList:
        return self.model.blocks[: self.recipe.frozen_blocks]

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / _WARM_UP_STEPS)
        part = min(1.0, self.step / max(1, self.recipe.steps))
        cosine = _FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * part)) / 2
        return self.recipe.rate * warm * cosine

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = min(_EMA, (self.step + 1) / (self.step + 10))
        for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)
        for kept, latest in zip(self.average.buffers(), self.model.buffers(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(latest, 1 - keep)
            else:
                kept.copy_(latest)

    def start_from(self, model: Path | str) -> None:
        """Initialise from a trained network of equal or smaller widths.

        Args:
            model: A checkpoint, a model folder written by `train`, or the name of a bundled model.

        Raises:
            ModelError: It is none of these, was not made by `train`, or has larger widths.
        """
        path = Path(model)
        try:
            other = self._from_checkpoint(path) if path.is_file() else self._from_model(str(model))
            widen_network(other.to(self._tiles.images.device), self.model)
            self.average.load_state_dict(self.model.state_dict())
            self._is_trained = True
        except BROKEN as exc:
            raise ModelError(f"{model} cannot be started from: {exc}") from exc

    def _from_checkpoint(self, path: Path) -> TrainableNetwork:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        other = new_network(SHAPES[state["recipe"]["arch"]])
        other.load_state_dict(state["average"])
        with torch.no_grad():
            self._log_temperature.copy_(state["log_temperature"])
        return other

    def _from_model(self, name: str) -> TrainableNetwork:
        model = find_model(name)
        if model.descriptor_grid != "exact":
            raise ValueError("its config.json has no descriptor_grid: exact, so that `train` did not make it")
        network = model.network()
        generator = torch.Generator().manual_seed(self.recipe.seed)
        views = make_views(self._tiles, _UNFOLDING_PAIRS, self.recipe.size_wh, generator)
        other = new_network(network.shape)
        unfold_batch_norm(other, network.convolutions(), views.grey.flatten(0, 1).cpu())
        return other

    def save(self, path: Path) -> None:
        """Write a checkpoint; the file is replaced only when the new one is complete."""
        state = {
            "recipe": {name: getattr(self.recipe, name) for name in Recipe.__slots__},
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "log_temperature": self._log_temperature.detach(),
            "directions": self._directions,
            "optimiser": self._optimiser.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    @classmethod
    def resumed(cls, path: Path, tiles: TileSet) -> Trainer:
        """Restore a trainer from a checkpoint.

        Raises:
            ModelError: The file is no checkpoint.
        """
        with checkpoint(path) as state:
            trainer = cls(Recipe(**state["recipe"]), tiles)
            trainer.step = state["step"]
            trainer.model.load_state_dict(state["model"])
            trainer.average.load_state_dict(state["average"])
            with torch.no_grad():
                trainer._log_temperature.copy_(state["log_temperature"])
            trainer._directions = state.get("directions", torch.zeros(0)).to(tiles.images.device)
            trainer._optimiser.load_state_dict(state["optimiser"])
        return trainer
