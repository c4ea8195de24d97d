"""Model cache: converted networks in the user's cache folder."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from realtime_kp.machine import package_version

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "REALTIME_KP_CACHE"
MAX_MODELS = 8
_FILE = "graph.xml"


def cache_folder() -> Path:
    """Folder of the cache: `$REALTIME_KP_CACHE`, else the default of the system."""
    import platformdirs

    asked = os.environ.get(FOLDER_VARIABLE)
    return Path(asked) if asked else platformdirs.user_cache_path("realtime-kp")


def cached_model(weights: Path, convert: Callable[[], Any]) -> Any:
    """The OpenVINO model for a folder of weights, from the cache or converted and cached.

    The key covers weights, settings and versions. A cache that cannot be read or written only costs time.

    Args:
        weights: A Hugging Face model folder.
        convert: Creates the OpenVINO model.
    """
    import openvino

    folder = cache_folder() / _key(weights)
    if (folder / _FILE).is_file():
        try:
            return openvino.Core().read_model(folder / _FILE)
        except RuntimeError as exc:
            log.debug("the cached network %s cannot be read: %s", folder, exc)
            shutil.rmtree(folder, ignore_errors=True)
    graph = convert()
    try:
        _keep(graph, folder)
    except (OSError, RuntimeError) as exc:
        log.debug("the converted network cannot be kept in %s: %s", folder, exc)
    return graph


def _key(weights: Path) -> str:
    digest = hashlib.sha256()
    for package in ("realtime-kp", "openvino", "torch"):
        digest.update(f"{package} {package_version(package)}\n".encode())
    for path in sorted([weights / "config.json", *weights.glob("*.safetensors")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _keep(graph: Any, folder: Path) -> None:
    import openvino

    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written elsewhere and renamed, so that other processes never see an incomplete model.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="partial-") as name:
        whole = Path(name) / folder.name
        whole.mkdir()
        openvino.save_model(graph, whole / _FILE, compress_to_fp16=False)
        if not folder.exists():
            whole.rename(folder)
    graphs = sorted(folder.parent.glob(f"*/{_FILE}"), key=lambda path: path.stat().st_mtime)
    for old in graphs[:-MAX_MODELS]:
        shutil.rmtree(old.parent, ignore_errors=True)
