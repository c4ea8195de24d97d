"""`train`: trains a network on images; can be stopped and resumed at any time."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import Progress

from realtime_kp.apps.console import labelled_progress_bars
from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.train.labels import load_or_make_labels, progress_of
from realtime_kp.config import TrainConfig
from realtime_kp.errors import ConfigError, ModelError, SinkError, first_line
from realtime_kp.machine import keep_freed_memory

if TYPE_CHECKING:
    from realtime_kp.training.recipe import Recipe
    from realtime_kp.training.trainer import StepLosses, Trainer
    from realtime_kp.training.views import TileSet

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
MODEL = "model"
_SAVE_EVERY_S = 60.0
_TRIAL_STEPS = 8
_DEFAULT_STEPS = 5000
_RECENT_STEPS = 50
_CHOSEN_ONCE = (
    *("arch", "steps", "batch", "rate", "seed", "agreement", "ranking", "found", "teacher"),
    *("rooms", "shapes", "shapes_alone", "descriptors_alone", "frozen_blocks", "zoom"),
)


def run_train(
    images: list[Path], out: Path, config: TrainConfig, console: Console, *, quiet: bool = False
) -> int:
    """Train a network, or resume a training.

    Args:
        images: Folders, zip files and single images.
        out: Folder of labels, checkpoint, losses and, in `model`, of the weights for `--model`.
        config: Settings of the training.
        console: Where the result is printed.
        quiet: Print errors only.

    Returns:
        0, or 130 after a signal; the progress so far is kept.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not config.resume:
        raise ConfigError(f"{checkpoint} exists already: continue with --resume, or choose another folder")
    if config.resume and not checkpoint.exists():
        raise ConfigError(f"{checkpoint} does not exist: nothing to resume")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SinkError(f"cannot make the folder {out}: {exc.strerror}") from exc
    keep_freed_memory()
    with StopSignals() as signals, labelled_progress_bars(quiet, counts=True) as bars:
        tiles = _tile_set(images, out, config, signals, bars)
        trainer = _trainer(tiles, checkpoint, config)
        _train(trainer, out, signals, bars)
    if not quiet:
        console.print(
            f"{trainer.step} of {trainer.recipe.steps} steps; model: {out / MODEL}", highlight=False
        )
    return INTERRUPTED if signals.received else DONE


def _train(trainer: Trainer, out: Path, signals: StopSignals, bars: Progress) -> None:
    recent: deque[StepLosses] = deque(maxlen=_RECENT_STEPS)
    task = bars.add_task("training", total=trainer.recipe.steps, completed=trainer.step, shown="")
    saved_s = time.perf_counter()
    while trainer.step < trainer.recipe.steps and not signals.received:
        recent.append(_step(trainer))
        bars.update(task, completed=trainer.step, shown=_describe(recent))
        if time.perf_counter() - saved_s >= _SAVE_EVERY_S:
            _save(trainer, out, recent)
            saved_s = time.perf_counter()
    _save(trainer, out, recent)


def _save(trainer: Trainer, out: Path, recent: deque[StepLosses]) -> None:
    from realtime_kp.training.export import export

    try:
        trainer.save(out / CHECKPOINT)
        export(trainer.average, out / MODEL)
        if recent:
            line = {"step": trainer.step, **{k: round(v, 4) for k, v in _means(recent).items()}}
            with open(out / "losses.jsonl", "a", encoding="utf-8") as losses:
                losses.write(json.dumps(line) + "\n")
    except (OSError, RuntimeError) as exc:  # torch has errors of its own for a full disk
        raise SinkError(f"cannot write to {out}: {first_line(exc)}") from exc


def _step(trainer: Trainer) -> StepLosses:
    import torch

    try:
        return trainer.train_step()
    except torch.OutOfMemoryError as exc:
        raise ModelError(
            f"{trainer.recipe.batch} pairs per step need more memory: choose a smaller --batch"
        ) from exc


def _describe(recent: deque[StepLosses]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in _means(recent).items())


def _means(recent: deque[StepLosses]) -> dict[str, float]:
    rows = [asdict(losses) for losses in recent]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _trainer(tiles: TileSet, checkpoint: Path, config: TrainConfig) -> Trainer:
    from realtime_kp.training.recipe import LARGER_WH, SIZE_WH, Recipe
    from realtime_kp.training.trainer import Trainer
    from realtime_kp.training.views import FAR_ZOOM, FARTHER_ZOOM

    if config.resume:
        return Trainer.resumed(checkpoint, tiles)
    zoom, size_wh = (FARTHER_ZOOM, LARGER_WH) if config.descriptors_alone else (FAR_ZOOM, SIZE_WH)
    chosen = {name: getattr(config, name) for name in _CHOSEN_ONCE}
    chosen |= {"steps": config.steps or _DEFAULT_STEPS, "zoom": config.zoom or zoom}
    recipe = Recipe(**chosen, size_wh=size_wh)
    if config.minutes is not None:
        trial = Trainer(recipe, tiles)
        for _ in range(2):
            trial.train_step()
        started_s = time.perf_counter()
        for _ in range(_TRIAL_STEPS):
            trial.train_step()
        step_s = (time.perf_counter() - started_s) / _TRIAL_STEPS
        recipe = replace(recipe, steps=max(1, round(config.minutes * 60 / step_s)))
    trainer = Trainer(recipe, tiles)
    if config.start_from is not None:
        trainer.start_from(config.start_from)
    return trainer


def _begun_with(checkpoint: Path, config: TrainConfig) -> Recipe:
    """Settings of a checkpoint; refuses other values of those that determine the result."""
    from realtime_kp.training.recipe import read_recipe

    recipe = read_recipe(checkpoint)
    for name in _CHOSEN_ONCE:
        asked, begun = getattr(config, name), getattr(recipe, name)
        if asked not in (getattr(TrainConfig(), name), begun):
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"{flag} {asked} with --resume: this training began with {begun}; leave it out")
    return recipe


def _tile_set(
    images: list[Path], out: Path, config: TrainConfig, signals: StopSignals, bars: Progress
) -> TileSet:
    import torch

    from realtime_kp.features.engines.selection import choose_device
    from realtime_kp.training.images import load_tiles
    from realtime_kp.training.rooms import room_tiles
    from realtime_kp.training.shapes import draw_tiles
    from realtime_kp.training.views import TileSet

    recipe = _begun_with(out / CHECKPOINT, config) if config.resume else config
    device = choose_device(config.device)
    if device == "mps":
        device = "cpu"  # training on Apple's GPUs is untested
    tiles = load_tiles(images, config.max_images)
    labels = load_or_make_labels(tiles, out / "labels.npz", config, signals, bars)
    if recipe.shapes:
        told = progress_of("drawing", recipe.shapes, signals, bars)
        drawn, corners = draw_tiles(recipe.shapes, recipe.seed, tiles, told)
        if recipe.shapes_alone:
            tiles, labels = drawn, corners
        else:
            tiles, labels = np.concatenate([tiles, drawn]), labels.with_more(corners)
    rooms = None
    if recipe.rooms:
        told = progress_of("rendering rooms", recipe.rooms, signals, bars)
        rooms = room_tiles(tiles, recipe.rooms, recipe.seed, told).to(device)
    log.info("%d tiles, %.0f labels each, on %s", len(tiles), (labels.mass > 0).sum(axis=1).mean(), device)
    return TileSet(
        torch.from_numpy(tiles).to(device),
        torch.from_numpy(labels.xy).to(device),
        torch.from_numpy(labels.mass).to(device),
        rooms,
    )
