"""Labels of a training: computed once and kept beside its checkpoint."""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from realtime_kp.apps.signals import StopSignals
from realtime_kp.config import TrainConfig
from realtime_kp.errors import ConfigError, SinkError

if TYPE_CHECKING:
    from realtime_kp.training.labels import Labels

log = logging.getLogger(__name__)


def load_or_make_labels(
    tiles: NDArray[np.uint8], path: Path, config: TrainConfig, signals: StopSignals, bars: Progress
) -> Labels:
    """Load the labels if they belong to these images and settings; otherwise compute and keep them.

    Where no labels are needed, none are computed, but the checksum of the images is kept all the same.

    Args:
        tiles: `(N, S, S) uint8`.
        path: File of the labels.
        config: With `resume`, only the labels of the original training are accepted.
        signals: Stop the computation.
        bars: Progress bars.

    Raises:
        ConfigError: The training to resume was started with other images or labels.
        SinkError: The labels cannot be written.
        KeyboardInterrupt: A signal was received.
    """
    origin = (config.labels_from or "blobs") if config.needs_labels else "none"
    images, how = str(zlib.crc32(tiles.tobytes())), f"{config.seed} {origin}"
    kept = _kept(path)
    if config.resume:
        return _begun_with(kept, path, images, config)
    if kept is not None and kept[:2] == (images, how):
        return kept[2]
    labels = _label(tiles, config, signals, bars)
    _keep(labels, path, images, how)
    return labels


def _begun_with(kept: tuple[str, str, Labels] | None, path: Path, images: str, config: TrainConfig) -> Labels:
    if kept is None:
        raise ConfigError(f"{path} is not there or damaged: this training cannot be resumed")
    if kept[0] != images:
        raise ConfigError(f"these are not the images that {path} was made of: resume with those")
    origin = kept[1].partition(" ")[2]
    if config.labels_from not in (None, origin):
        raise ConfigError(
            f"--labels-from {config.labels_from} with --resume: this training began with labels of {origin}; "
            "leave it out"
        )
    return kept[2]


def _kept(path: Path) -> tuple[str, str, Labels] | None:
    """Checksum of the images, origin of the labels, labels; None where the file cannot be read."""
    from realtime_kp.training.labels import Labels

    try:
        with np.load(path) as kept:
            return str(kept["images"]), str(kept["how"]), Labels(kept["xy"], kept["mass"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _keep(labels: Labels, path: Path, images: str, how: str) -> None:
    partial = path.with_suffix(".partial.npz")
    try:
        np.savez_compressed(partial, xy=labels.xy, mass=labels.mass, images=images, how=how)
        partial.replace(path)
    except OSError as exc:
        raise SinkError(f"cannot write {path}: {exc.strerror}") from exc


def _label(tiles: NDArray[np.uint8], config: TrainConfig, signals: StopSignals, bars: Progress) -> Labels:
    from realtime_kp.training.labels import label_tiles, no_labels, relabel_tiles

    if not config.needs_labels:
        return no_labels(len(tiles))
    first = progress_of("labelling", len(tiles), signals, bars)
    labels = label_tiles(tiles, config.seed, progress=first)
    if config.labels_from is not None:
        again = progress_of(f"labelling with {config.labels_from}", len(tiles), signals, bars)
        labels = relabel_tiles(tiles, labels, config.labels_from, config.seed, again)
    return labels


def progress_of(what: str, total: int, signals: StopSignals, bars: Progress) -> Callable[[int], None]:
    """A progress bar for work before the first step.

    Returns:
        A function that takes the number of finished items.

    Raises:
        KeyboardInterrupt: In that function, after a signal.
    """
    task = bars.add_task(what, total=total, shown="")

    def tell(done: int) -> None:
        bars.update(task, completed=done)
        if signals.received:
            log.warning("stopped while %s, before the first step: begin anew with the same command", what)
            raise KeyboardInterrupt

    return tell
