"""Weights of a model folder as arrays, without torch and transformers, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]

_FILE = "model.safetensors"


def plain_weights(folder: Path, config: Mapping[str, Any]) -> Weights | None:
    """Read the weights of a folder where nothing about them is unusual.

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
        shapes = _shapes(config)
        found = load_file(folder / _FILE)
        weights = {name: found[name].astype(np.float32) for name in shapes}
    except (KeyError, TypeError, ValueError, AttributeError, OSError, SafetensorError):
        return None
    return weights if all(weights[name].shape == shape for name, shape in shapes.items()) else None


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights that the settings ask for."""
    first, second, third, last = config["encoder_hidden_sizes"]
    inner, logits, length = (
        config[name] for name in ("decoder_hidden_size", "keypoint_decoder_dim", "descriptor_decoder_dim")
    )
    if logits != 65:
        raise ValueError("SuperPoint has 65 logits")
    layers: dict[str, tuple[int, ...]] = {}
    widths = (1, first, second, third, last)
    for number, (before, width) in enumerate(pairwise(widths)):
        layers[f"encoder.conv_blocks.{number}.conv_a"] = (width, before, 3, 3)
        layers[f"encoder.conv_blocks.{number}.conv_b"] = (width, width, 3, 3)
    heads = {"keypoint_decoder.conv_score": logits, "descriptor_decoder.conv_descriptor": length}
    for name, outputs in heads.items():
        layers[f"{name}_a"] = (inner, last, 3, 3)
        layers[f"{name}_b"] = (outputs, inner, 1, 1)
    shapes = {f"{name}.weight": shape for name, shape in layers.items()}
    return shapes | {f"{name}.bias": shape[:1] for name, shape in layers.items()}
