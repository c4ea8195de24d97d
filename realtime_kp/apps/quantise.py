"""`quantise`: an 8-bit version of a model, beside its weights."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from realtime_kp.apps.exit_codes import DONE
from realtime_kp.errors import ConfigError, SinkError

TILES = 120


def run_quantise(
    model: str, images: list[Path], out: Path | None, console: Console, *, quiet: bool = False
) -> int:
    """Calibrate a model on pictures and write its 8-bit version.

    Args:
        model: A bundled name or a folder.
        images: Folders, zip files and single images to calibrate with.
        out: Folder of the result; the model's own without one.
        console: Where the result is told.
        quiet: Print errors only.

    Returns:
        0.

    Raises:
        RealtimeKpError: What went wrong.
    """
    from realtime_kp.features.weights_store import load_weights
    from realtime_kp.training.images import load_tiles
    from realtime_kp.training.quantise import quantise

    weights = load_weights(model)
    if weights.ref.kind == "hub" and out is None:
        raise ConfigError(f"{model} comes from the hub: name a folder with --out")
    folder = Path(weights.ref.location) if out is None else out
    tiles = load_tiles(images, TILES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = quantise(weights.model, tiles, folder)
    except OSError as exc:
        raise SinkError(f"cannot write to {folder}: {exc.strerror}") from exc
    if not quiet:
        console.print(f"8-bit version: {path}", highlight=False)
    return DONE
