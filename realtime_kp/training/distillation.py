"""Distillation: a network learns what a larger one says of the same views.

The heat map of the teacher is the target of the keypoint head. Its descriptors, projected onto as many
dimensions as the student has, are the target of the descriptor head (comparable: the Procrustes loss of Yao
et al., EdgePoint2, 2025). The teacher sees each view before light, blur and noise are changed: the student
learns to say the same in spite of them. (Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural
Network, 2015.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError
from realtime_kp.features.decode.torch_decoder import heatmap
from realtime_kp.features.engines.selection import choose_engine, make_engine
from realtime_kp.features.models import find_model
from realtime_kp.training.detected_keypoints import DetectedPairs, detect_pairs
from realtime_kp.training.losses import FOUND_AREA_PX, SAME_PX, sample
from realtime_kp.training.views import Views

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Taught:
    """What the teacher says of B pairs of views.

    Attributes:
        cells: `(2B, 65, h, w) float32`, probabilities of the positions of each cell; sums of 1.
        descriptors: `(2, B, D, h, w) float32`, not normalised.
        found: Its keypoints.
    """

    cells: Tensor
    descriptors: Tensor
    found: DetectedPairs


class Teacher:
    """A trained network, run by the engine that is the fastest on the device.

    Args:
        model: A value of `--model`.
        device: Device of the training.
        length: Length of the student's descriptors.

    Raises:
        ModelError: The model cannot be found or loaded, or its descriptors are shorter than the student's.
    """

    def __init__(self, model: str, device: torch.device, length: int) -> None:
        found = find_model(model)
        if found.descriptor_dim < length:
            raise ModelError(
                f"the teacher {model} has descriptors of {found.descriptor_dim}, the network to train of "
                f"{length}: choose another teacher"
            )
        self._device = device
        self._engine = make_engine(found, choose_engine(SuperPointConfig(model=model, device=str(device))))

    def __call__(self, views: Views) -> Taught:
        """Targets for pairs of views."""
        grey = (views.clean.flatten(0, 1).squeeze(1) * 255).round().to(torch.uint8)
        # Copies: the engine may use its buffers again, and its tensors cannot be part of a gradient.
        logits, maps = (
            torch.as_tensor(output).to(self._device, torch.float32, copy=True)
            for output in self._engine.submit(grey.cpu().numpy())()
        )
        descriptors = maps.permute(0, 3, 1, 2)
        descriptors = descriptors.view(2, -1, *descriptors.shape[1:])
        return Taught(logits.softmax(dim=1), descriptors, detect_pairs(heatmap(logits), views, FOUND_AREA_PX))


def principal_directions(samples: list[Taught], count: int) -> Tensor:
    """The directions in which unit descriptors differ most: their principal components, without centring.

    Of all orthonormal projections onto so many dimensions this one keeps the squared cosines best.

    Args:
        samples: What the teacher says of some pairs.
        count: D', number of directions.

    Returns:
        `(D', D) float32`, orthonormal rows; the identity where D' = D.
    """
    length = samples[0].descriptors.shape[2]
    if length == count:
        return torch.eye(count, device=samples[0].descriptors.device)
    rows = torch.cat([part for taught in samples for part in _described(taught.descriptors, taught.found)])
    _, directions = torch.linalg.eigh(rows.T @ rows)
    largest: Tensor = directions[:, -count:].T.contiguous()
    return largest


def fitted_directions(own: list[Tensor], samples: list[Taught]) -> Tensor:
    """The directions in which a trained network already describes, by orthogonal Procrustes.

    Principal directions are determined only up to sign and depend on the pictures: a network that goes on
    with others would have to learn all its descriptors anew. (Schönemann, A Generalized Solution of the
    Orthogonal Procrustes Problem, 1966.)

    Args:
        own: `(2, B, D', h, w)`, descriptors of the network for each sample.
        samples: What the teacher says of the same pairs.

    Returns:
        `(D', D) float32`, orthonormal rows.
    """
    both = zip(own, samples, strict=True)
    rows = torch.cat([part for one, taught in both for part in _described(one, taught.found)])
    theirs = torch.cat([part for taught in samples for part in _described(taught.descriptors, taught.found)])
    left, _, right = torch.linalg.svd(rows.T @ theirs, full_matrices=False)
    directions: Tensor = left @ right
    return directions


def imitation_loss(descriptors: Tensor, taught: Taught, directions: Tensor) -> Tensor:
    """Mean of one minus the cosine between descriptors and those of the teacher, projected.

    Args:
        descriptors: `(2, B, D', h, w)`, of the network to train.
        taught: What the teacher says.
        directions: `(D', D)`, as `principal_directions` or `fitted_directions` give them.
    """
    own = torch.cat(_described(descriptors, taught.found))
    with torch.no_grad():
        theirs = torch.cat(_described(taught.descriptors, taught.found)) @ directions.T
    mean: Tensor = 1 - functional.cosine_similarity(own, theirs, dim=1).sum() / max(1, len(own))
    return mean


def _described(descriptors: Tensor, found: DetectedPairs) -> list[Tensor]:
    """`(K, D)` unit descriptors of the keypoints in the first and in the second views."""
    views = zip(descriptors, (found.first, found.second), found.counts, strict=True)
    return [sample(one, xy)[counts] for one, xy, counts in views]


def labelled(views: Views, found: DetectedPairs) -> Views:
    """The views with labels where the teacher finds a keypoint in both of a pair."""
    same, nearest = found.same(SAME_PX)
    second = found.second.gather(1, nearest.unsqueeze(2).expand(-1, -1, 2))
    return replace(
        views, xy=torch.stack([found.first, second]), visible=torch.stack([same, same]), mass=same.float()
    )
