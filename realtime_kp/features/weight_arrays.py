"""Weights of a model folder as arrays, without torch and transformers, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ModelError, first_line
from realtime_kp.features.shapes import ResidualShape, Shape

Weights = dict[str, NDArray[np.float32]]

_FILE = "model.safetensors"


def plain_weights(folder: Path, config: Mapping[str, Any]) -> Weights | None:
    """Read the weights of a folder of transformers where nothing about them is unusual.

    Args:
        folder: A Hugging Face model folder.
        config: Its `config.json`.

    Returns:
        Arrays by the names of `SuperPointForKeypointDetection.state_dict`; None where something is missing,
        has another shape than the settings say, or cannot be read: transformers loads such folders or tells
        what is wrong with them.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        shapes = Shape.of(config).weights()
        found = load_file(folder / _FILE)
        weights = {name: found[name].astype(np.float32) for name in shapes}
    except (KeyError, TypeError, ValueError, AttributeError, OSError, SafetensorError):
        return None
    return weights if all(weights[name].shape == shape for name, shape in shapes.items()) else None


def residual_shape(folder: Path, config: Mapping[str, Any]) -> ResidualShape:
    """The size of the residual network in a folder.

    Raises:
        ModelError: Its settings are incomplete, or those of another network.
    """
    try:
        shape = ResidualShape.of(config)
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelError(f"{folder / 'config.json'} is not of a residual network: {exc}") from exc
    sizes = (*shape.encoder, *shape.blocks, shape.head, shape.descriptor)
    if not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ModelError(f"{folder / 'config.json'} has sizes that are not whole numbers above 0: {sizes}")
    return shape


def residual_weights(folder: Path, shape: ResidualShape) -> Weights:
    """Read the weights of a residual network.

    Args:
        folder: The model folder.
        shape: Its size.

    Returns:
        Arrays by the names of `ResidualNetwork.state_dict`.

    Raises:
        ModelError: The file cannot be read, or weights are missing or of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    shapes = shape.weights()
    try:
        found = load_file(folder / _FILE)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, SafetensorError) as exc:
        # NumPy lacks some types, such as bfloat16.
        raise ModelError(f"cannot load the weights in {folder}: {first_line(exc)}") from exc
    for name in shapes:
        if name not in found:
            raise ModelError(f"{folder} holds no complete residual network: {name} is missing")
    weights = {name: found[name].astype(np.float32) for name in shapes}
    for name, wanted in shapes.items():
        if weights[name].shape != wanted:
            raise ModelError(
                f"{folder} does not fit its config.json: {name} has the shape {list(weights[name].shape)}, "
                f"not {list(wanted)}"
            )
    return weights
