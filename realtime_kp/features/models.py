"""The model that a value of `--model` names: its settings at once, its weights on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from realtime_kp.errors import ModelError
from realtime_kp.features.transformers_weights import LoadedWeights, load_weights
from realtime_kp.features.weight_arrays import Weights, plain_weights, residual_shape, residual_weights
from realtime_kp.features.weights_store import RESIDUAL, WeightsRef, check_revision, find_weights, read_config

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection

    from realtime_kp.features.network import KeypointNetwork

# Defaults of transformers for keys missing in config.json.
_BORDER_PX, _DESCRIPTOR_DIM, _GRID = 4, 256, "transformers"


@dataclass(frozen=True, slots=True)
class Model:
    """Weights that are loaded on first use, because importing transformers takes seconds.

    Attributes:
        ref: The weights.
        revision: The resolved commit of a hub id; None for folders.
        border_px: Keypoints nearer to the edge of the network input are removed.
        descriptor_dim: Length of a descriptor.
        descriptor_grid: The grid on which the descriptors were trained: `exact` or `transformers`.
        network: Returns the network in torch, in float32 on the CPU.
        arrays: Returns the weights as arrays, by the names of the SuperPoint's or the residual network's
            `state_dict`.
    """

    ref: WeightsRef
    revision: str | None
    border_px: int
    descriptor_dim: int
    descriptor_grid: str
    network: Callable[[], KeypointNetwork]
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
        return _of_hub(ref, load_weights(model, revision))
    check_revision(ref, revision)
    if ref.kind == "onnx":
        return _converted(ref)
    folder = Path(ref.location)
    config = read_config(folder)
    if config.get("model_type") == RESIDUAL:
        return _residual(ref, folder, config)
    return Model(
        ref,
        None,
        *_settings(config),
        lambda: _superpoint(load_weights(model).model),
        lambda: plain_weights(folder, config) or _arrays_of(load_weights(model).model),
    )


def _of_hub(ref: WeightsRef, loaded: LoadedWeights) -> Model:
    return Model(
        ref,
        loaded.revision,
        *_settings(loaded.model.config.to_dict()),
        lambda: _superpoint(loaded.model),
        lambda: _arrays_of(loaded.model),
    )


def _converted(ref: WeightsRef) -> Model:
    from realtime_kp.features.engines.onnxruntime_engine import converted_shape

    def no_weights() -> NoReturn:
        raise ModelError(f"{ref.location} is a converted network, without weights to load: name those")

    return Model(ref, None, *converted_shape(ref.location), _GRID, no_weights, no_weights)


def _residual(ref: WeightsRef, folder: Path, config: dict[str, Any]) -> Model:
    shape = residual_shape(folder, config)

    def network() -> KeypointNetwork:
        import torch

        from realtime_kp.features.checks import check_weights
        from realtime_kp.features.residual_network import ResidualNetwork

        arrays = residual_weights(folder, shape)
        check_weights(folder, arrays.items())
        loaded = ResidualNetwork(shape).eval()
        loaded.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()})
        return loaded

    return Model(ref, None, *_settings(config), network, lambda: residual_weights(folder, shape))


def _superpoint(model: SuperPointForKeypointDetection) -> KeypointNetwork:
    from realtime_kp.features.network import SuperPointNetwork

    return SuperPointNetwork(model)


def _arrays_of(model: SuperPointForKeypointDetection) -> Weights:
    return {name: values.detach().float().numpy() for name, values in model.state_dict().items()}


def _settings(config: dict[str, Any]) -> tuple[int, int, str]:
    """Border, length of a descriptor, and grid."""
    return (
        _whole(config, "border_removal_distance", _BORDER_PX),
        _whole(config, "descriptor_decoder_dim", _DESCRIPTOR_DIM),
        str(config.get("descriptor_grid", _GRID)),
    )


def _whole(config: dict[str, Any], name: str, default: int) -> int:
    value = config.get(name, default)
    if not isinstance(value, int) or value < 0:
        raise ModelError(f"config.json has {name} {value!r}, which is not a whole number")
    return value
