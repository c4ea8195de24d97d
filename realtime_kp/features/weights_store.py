"""Weights: bundled with the package, in a local folder, or on the Hugging Face hub."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realtime_kp.errors import ModelError

BUNDLED = {
    "auto": "superpoint-open",
    "base": "superpoint-open",
    "small": "superpoint-open-small",
    "nano": "superpoint-open-nano",
}
# Values of `model_type` in a `config.json`: networks of transformers, and our residual ones.
SUPERPOINT, RESIDUAL = "superpoint", "superpoint_residual"
INT8_FILE = "openvino_int8.xml"
_WEIGHTS_DIR = Path(__file__).parent / "weights"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
MAGIC_LEAP_LICENCE = (
    "the SuperPoint weights of Magic Leap are licensed for academic or non-profit research only: "
    "no commercial use"
)
_RESEARCH_ONLY = {"magic-leap-community/superpoint": MAGIC_LEAP_LICENCE}


@dataclass(frozen=True, slots=True)
class WeightsRef:
    """Weights that a value of `--model` refers to, before anything is loaded.

    Attributes:
        name: Name for messages.
        location: A folder or a hub id, as `from_pretrained` takes it.
        kind: `bundled`, `folder`, `hub`, or `onnx` for a converted network.
        licence: Licence, as far as known; else empty.
    """

    name: str
    location: str
    kind: str
    licence: str = ""

    @property
    def int8_file(self) -> Path | None:
        """The 8-bit network for OpenVINO beside the weights; None where there is none."""
        path = Path(self.location) / INT8_FILE
        return path if self.kind != "hub" and path.is_file() else None

    @property
    def is_residual(self) -> bool:
        """Whether the weights are those of a residual network, which transformers does not have.

        Raises:
            ModelError: The settings of a folder cannot be read.
        """
        if self.kind not in ("bundled", "folder"):
            return False
        return read_config(Path(self.location)).get("model_type") == RESIDUAL


def bundled_models() -> dict[str, Path]:
    """Names and folders of the bundled models."""
    return {path.name: path for path in sorted(_WEIGHTS_DIR.iterdir()) if (path / "config.json").is_file()}


def find_weights(model: str) -> WeightsRef:
    """Resolve a value of `--model` without loading anything.

    Raises:
        ModelError: It is no bundled name, no folder with weights, and no hub id.
    """
    name = BUNDLED.get(model, model)
    bundled = bundled_models()
    if name in bundled:
        return WeightsRef(name, str(bundled[name]), "bundled", "Apache-2.0")
    path = Path(model).expanduser()
    if path.is_dir():
        _check_folder(path)
        return WeightsRef(path.name or str(path), str(path), "folder")
    if path.suffix.lower() == ".onnx" and path.is_file():
        return WeightsRef(path.name, str(path), "onnx")
    if _HUB_ID.fullmatch(model) and not path.exists() and not model.startswith((".", "/", "~")):
        return WeightsRef(model, model, "hub", _RESEARCH_ONLY.get(model.lower(), ""))
    known = ", ".join([*BUNDLED, *bundled])
    raise ModelError(
        f"unknown model {model!r}: it is neither bundled ({known}), nor a folder, nor an .onnx file, nor a "
        "hub id such as magic-leap-community/superpoint"
    )


def check_revision(ref: WeightsRef, revision: str | None) -> None:
    """Refuse a revision of what is not on the hub.

    Raises:
        ModelError: It is a folder, bundled or an `.onnx` file.
    """
    if ref.kind != "hub" and revision is not None:
        raise ModelError(f"--revision goes with a hub id; {ref.name!r} is {ref.kind}")


def _check_folder(path: Path) -> None:
    config = read_config(path)
    if config.get("model_type") not in (SUPERPOINT, RESIDUAL):
        found = config.get("model_type")
        raise ModelError(f"{path / 'config.json'} is of model type {found!r}, not {SUPERPOINT} or {RESIDUAL}")
    if not any(path.glob("*.safetensors")):
        pickled = any(path.glob("*.bin")) or any(path.glob("*.pth")) or any(path.glob("*.pt"))
        hint = "; pickled weights are not loaded, save them with safe_serialization=True" if pickled else ""
        raise ModelError(f"the folder {path} holds no model.safetensors{hint}")


def read_config(path: Path) -> dict[str, Any]:
    """Settings of a model folder.

    Raises:
        ModelError: There are none, or they cannot be read.
    """
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ModelError(
            f"the folder {path} holds no config.json: it is no Hugging Face model folder"
        ) from exc
    except (OSError, ValueError) as exc:
        raise ModelError(f"{path / 'config.json'} cannot be read: {exc}") from exc
    if not isinstance(config, dict):
        raise ModelError(f"{path / 'config.json'} holds no settings")
    return config
