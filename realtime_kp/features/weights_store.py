"""Weights: bundled with the package, in a local folder, or on the Hugging Face hub."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from realtime_kp.errors import ModelError, first_line
from realtime_kp.features.checks import check_complete, check_weights
from realtime_kp.features.hub import quiet_transformers, resolve_commit
from realtime_kp.features.weight_arrays import Weights, plain_weights

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection

log = logging.getLogger(__name__)

BUNDLED = {"auto": "superpoint-open", "base": "superpoint-open", "small": "superpoint-open-small"}
INT8_FILE = "openvino_int8.xml"
_WEIGHTS_DIR = Path(__file__).parent / "weights"
# Defaults of transformers for keys missing in config.json.
_BORDER_PX, _DESCRIPTOR_DIM = 4, 256
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


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """A SuperPoint of transformers in float32 on the CPU, with its origin.

    Attributes:
        ref: The weights.
        model: The model, in evaluation mode.
        revision: The resolved commit of a hub id; None for folders.
    """

    ref: WeightsRef
    model: SuperPointForKeypointDetection
    revision: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """Weights that are loaded on first use, because importing transformers takes seconds.

    Attributes:
        ref: The weights.
        revision: The resolved commit of a hub id; None for folders.
        border_px: Keypoints nearer to the edge of the network input are removed.
        descriptor_dim: Length of a descriptor.
        load: Returns the SuperPoint of transformers.
        arrays: Returns the weights as arrays, by the names of the SuperPoint's `state_dict`.
    """

    ref: WeightsRef
    revision: str | None
    border_px: int
    descriptor_dim: int
    load: Callable[[], SuperPointForKeypointDetection]
    arrays: Callable[[], Weights]


def find_model(model: str, revision: str | None = None) -> Model:
    """Find weights; those of the hub are loaded immediately, those of a folder on first use.

    Args:
        model: A bundled name, a local folder or a hub id.
        revision: Branch, tag or commit of a hub id.

    Raises:
        ModelError: The weights cannot be found or reached.
    """
    ref = find_weights(model)
    if ref.kind == "hub":
        loaded = load_weights(model, revision)
        settings = loaded.model.config
        return Model(
            ref,
            loaded.revision,
            settings.border_removal_distance,
            settings.descriptor_decoder_dim,
            lambda: loaded.model,
            lambda: _arrays_of(loaded.model),
        )
    _check_revision(ref, revision)
    if ref.kind == "onnx":
        from realtime_kp.features.engines.onnxruntime_engine import converted_shape

        return Model(
            ref, None, *converted_shape(ref.location), lambda: _no_weights(ref), lambda: _no_weights(ref)
        )
    folder = Path(ref.location)
    config = _read_config(folder)
    return Model(
        ref,
        None,
        _whole(config, "border_removal_distance", _BORDER_PX),
        _whole(config, "descriptor_decoder_dim", _DESCRIPTOR_DIM),
        lambda: load_weights(model).model,
        lambda: plain_weights(folder, config) or _arrays_of(load_weights(model).model),
    )


def _no_weights(ref: WeightsRef) -> NoReturn:
    raise ModelError(f"{ref.location} is a converted network, without weights to load: name those")


def _arrays_of(model: SuperPointForKeypointDetection) -> Weights:
    return {name: values.detach().float().numpy() for name, values in model.state_dict().items()}


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


def load_weights(model: str, revision: str | None = None) -> LoadedWeights:
    """Load weights into transformers' modules; safetensors only, never a pickle.

    Args:
        model: A bundled name, a local folder or a hub id.
        revision: Branch, tag or commit of a hub id.

    Raises:
        ModelError: The weights cannot be found, reached, read, or are no SuperPoint.
    """
    ref = find_weights(model)
    _check_revision(ref, revision)
    if ref.licence == MAGIC_LEAP_LICENCE:
        _warn_once(ref.licence)
    with quiet_transformers():
        from transformers import SuperPointForKeypointDetection

        commit, reachable = resolve_commit(ref.location, revision) if ref.kind == "hub" else (None, False)
        try:
            loaded, report = SuperPointForKeypointDetection.from_pretrained(
                ref.location,
                revision=commit or revision or "main",
                use_safetensors=True,
                output_loading_info=True,
                local_files_only=not reachable,
                ignore_mismatched_sizes=True,  # they are in the report, and refused below
            )
        except Exception as exc:
            raise ModelError(_why_not_loaded(ref, revision, reachable, exc)) from exc
    check_complete(ref.location, loaded.config, report)
    check_weights(Path(ref.location), loaded.state_dict().items())
    if ref.kind == "hub":
        commit = commit or getattr(loaded.config, "_commit_hash", None)
        log.info("%s at commit %s", ref.name, commit or "unknown")
    return LoadedWeights(ref, loaded.eval(), commit)


def _check_revision(ref: WeightsRef, revision: str | None) -> None:
    if ref.kind != "hub" and revision is not None:
        raise ModelError(f"--revision goes with a hub id; {ref.name!r} is {ref.kind}")


def _whole(config: dict[str, Any], name: str, default: int) -> int:
    value = config.get(name, default)
    if not isinstance(value, int) or value < 0:
        raise ModelError(f"config.json has {name} {value!r}, which is not a whole number")
    return value


@lru_cache(maxsize=16)
def _warn_once(text: str) -> None:
    log.warning("%s", text)


def _check_folder(path: Path) -> None:
    config = _read_config(path)
    if config.get("model_type") != "superpoint":
        raise ModelError(
            f"{path / 'config.json'} is of model type {config.get('model_type')!r}, not superpoint"
        )
    if not any(path.glob("*.safetensors")):
        pickled = any(path.glob("*.bin")) or any(path.glob("*.pth")) or any(path.glob("*.pt"))
        hint = "; pickled weights are not loaded, save them with safe_serialization=True" if pickled else ""
        raise ModelError(f"the folder {path} holds no model.safetensors{hint}")


def _read_config(path: Path) -> dict[str, Any]:
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


def _why_not_loaded(ref: WeightsRef, revision: str | None, reachable: bool, exc: Exception) -> str:
    first = first_line(exc)
    if ref.kind != "hub":
        return f"cannot load the weights in {ref.location}: {first}"
    at = f" at revision {revision}" if revision else ""
    if reachable:
        return f"cannot load {ref.name}{at} from the hub: {first}"
    return (
        f"cannot load {ref.name}{at}: the hub is out of reach and nothing is cached; connect once, or "
        "download the model folder elsewhere and give its path to --model"
    )
