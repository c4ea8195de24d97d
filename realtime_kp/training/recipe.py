"""The settings of a training, and reading its checkpoints."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from realtime_kp.errors import ModelError
from realtime_kp.training.architecture import Arch
from realtime_kp.training.views import FAR_ZOOM

# Sizes of the views. Training only a head costs half, which pays for larger ones.
SIZE_WH, LARGER_WH = (256, 192), (320, 240)
# Exceptions raised by reading a file that is not a checkpoint of this kind.
BROKEN = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings that determine the result.

    Attributes:
        arch: `base`, `small` or `nano`.
        steps: Number of steps, over which the learning rate decays.
        batch: Pairs of views per step.
        size_wh: Width and height of the views.
        rate: Highest learning rate.
        seed: Seed of weights and views.
        agreement: Weight of `agreement_loss`.
        ranking: Weight of `ranking_loss`.
        found: Weight of `detected_descriptor_loss`, beside the descriptor loss on labels.
        teacher: Model whose outputs are the targets instead of labels; None without one.
        rooms: Number of generated rooms.
        shapes: Number of tiles with drawn shapes.
        shapes_alone: Whether to train on drawn shapes only.
        frozen_blocks: Number of encoder blocks, from the first, that are not trained.
        zoom: Standard deviation of the logarithm of the scale of far views.
        descriptors_alone: Whether only the descriptor head is trained, which needs no labels.
    """

    arch: Arch
    steps: int
    batch: int = 8
    size_wh: tuple[int, int] = SIZE_WH
    rate: float = 2e-3
    seed: int = 0
    agreement: float = 0.0
    ranking: float = 0.0
    found: float = 0.0
    teacher: str | None = None
    rooms: int = 0
    shapes: int = 0
    shapes_alone: bool = False
    descriptors_alone: bool = False
    frozen_blocks: int = 0
    zoom: float = FAR_ZOOM


def read_recipe(path: Path) -> Recipe:
    """Read the settings of a checkpoint.

    Raises:
        ModelError: The file is no checkpoint.
    """
    with checkpoint(path) as state:
        return Recipe(**state["recipe"])


@contextmanager
def checkpoint(path: Path) -> Iterator[dict[str, Any]]:
    """Load a checkpoint; errors of loading and of missing keys inside the block become `ModelError`."""
    try:
        yield torch.load(path, map_location="cpu", weights_only=True)
    except BROKEN as exc:
        raise ModelError(f"{path} is not a checkpoint to resume from: {exc}") from exc
