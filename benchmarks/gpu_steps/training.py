"""Step: training steps per second and their memory, by network and batch."""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.gpu_steps import Record, Settings
from realtime_kp.features.engines.selection import choose_device
from realtime_kp.sources import procedural_picture
from realtime_kp.training.architecture import Arch
from realtime_kp.training.images import TILE_PX
from realtime_kp.training.labels import MAX_LABELS
from realtime_kp.training.recipe import Recipe
from realtime_kp.training.trainer import Trainer
from realtime_kp.training.views import TileSet

_WARM_UPS = 4


def run(settings: Settings, record: Record) -> None:
    """Train on generated tiles with random labels: speed and memory do not depend on what is learned."""
    tiles = _tiles(2 if settings.tiny else 32, torch.device(choose_device(settings.device)))
    archs: tuple[Arch, ...] = ("small",) if settings.tiny else ("base", "small")
    for arch in archs:
        for batch in (1,) if settings.tiny else (8, 64):
            recipe = Recipe(arch, steps=1000, batch=batch, agreement=1.0, ranking=1.0, found=0.5)
            record(f"{arch} batch {batch}", _steps_per_s(recipe, tiles, 1 if settings.tiny else 12))
    taught = Recipe("nano", steps=1000, batch=1 if settings.tiny else 64, teacher=settings.models[0])
    record("nano taught", _steps_per_s(taught, tiles, 1 if settings.tiny else 12))


def _steps_per_s(recipe: Recipe, tiles: TileSet, steps: int) -> dict[str, float]:
    device = tiles.images.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    trainer = Trainer(recipe, tiles)
    started_s = time.perf_counter()
    for _ in range(1 if steps == 1 else _WARM_UPS):
        trainer.train_step()
    warmed_s = time.perf_counter()
    for _ in range(steps):
        trainer.train_step()
    step_s = (time.perf_counter() - warmed_s) / steps
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return {
        "steps_per_s": round(1 / step_s, 2),
        "first_steps_s": round(warmed_s - started_s, 1),
        "peak_device_memory_mb": round(peak / 2**20),
    }


def _tiles(count: int, device: torch.device) -> TileSet:
    random = np.random.default_rng(0)
    images = np.stack([procedural_picture((TILE_PX, TILE_PX), seed=i)[..., 0] for i in range(count)])
    xy = random.uniform(0, TILE_PX - 1, (count, MAX_LABELS, 2)).astype(np.float32)
    mass = np.ones((count, MAX_LABELS), np.float32)
    tensors = [torch.from_numpy(array).to(device) for array in (images, xy, mass)]
    return TileSet(tensors[0], tensors[1], tensors[2])
