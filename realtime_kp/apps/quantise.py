"""`quantise`: quantises a model to 8 bits and writes the result beside its weights."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from realtime_kp.apps.exit_codes import DONE
from realtime_kp.errors import ConfigError, SinkError

TILES = 120


def run_quantise(
    model: str, images: list[Path], out: Path | None, console: Console, *, quiet: bool = False
) -> int:
    """Calibrate a model on images and write its 8-bit version.

    Args:
        model: A bundled name or a folder.
        images: Calibration images: folders, zip files and single images.
        out: Folder of the result; None is the folder of the model.
        console: Where the result is printed.
        quiet: Print errors only.

    Returns:
        0.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    from realtime_kp.features.models import find_model
    from realtime_kp.training.images import load_tiles
    from realtime_kp.training.quantise import quantise

    found = find_model(model)
    if found.ref.kind == "hub" and out is None:
        raise ConfigError(f"{model} comes from the hub: name a folder with --out")
    network = found.network()
    folder = Path(found.ref.location) if out is None else out
    tiles = load_tiles(images, TILES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = quantise(network, tiles, folder)
    except OSError as exc:
        raise SinkError(f"cannot write to {folder}: {exc.strerror}") from exc
    if not quiet:
        console.print(f"8-bit version: {path}", highlight=False)
    return DONE
