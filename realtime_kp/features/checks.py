"""Checks of a model: that its weights are complete, and that they and what the network gives are finite.

Nothing later would notice NaN or infinity: there would only be wrong keypoints, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from realtime_kp.errors import ModelError

_LOGITS, _BLOCKS = 65, 4


def check_complete(place: str, settings: Any, report: Mapping[str, Any]) -> None:
    """Check that weights are those of a SuperPoint, and that all are there.

    Args:
        place: Where they come from, for the message.
        settings: The configuration of the model.
        report: What `from_pretrained` tells of loading.

    Raises:
        ModelError: Names what does not fit.
    """
    for name in sorted(report.get("missing_keys", ())):
        raise ModelError(f"{place} holds no complete SuperPoint: {name} is missing")
    for name, found, wanted in sorted(report.get("mismatched_keys", ())):
        raise ModelError(
            f"{place} does not fit its config.json: {name} has the shape {list(found)}, not {list(wanted)}"
        )
    logits, blocks = settings.keypoint_decoder_dim, len(settings.encoder_hidden_sizes)
    if (logits, blocks) != (_LOGITS, _BLOCKS):
        raise ModelError(
            f"{place} is another network: SuperPoint has {_BLOCKS} encoder_hidden_sizes and a "
            f"keypoint_decoder_dim of {_LOGITS}, its config.json has {blocks} and {logits}"
        )


def check_weights(place: Path, tensors: Iterable[tuple[str, ArrayLike]]) -> None:
    """Check that all weights of a model are finite.

    Args:
        place: Where they come from, for the message: a file, or a folder with one file of weights.
        tensors: Names and values.

    Raises:
        ModelError: Names the file and the first tensor with NaN or infinity.
    """
    for name, values in tensors:
        array = np.asarray(values)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            files = list(place.glob("*.safetensors"))
            file = files[0] if len(files) == 1 else place
            raise ModelError(f"{file} is damaged: {name} holds NaN or infinity; get or make the model again")


def check_outputs(*outputs: NDArray[np.float32]) -> None:
    """Check that what a network gave is finite.

    Raises:
        ModelError: It is not.
    """
    if not all(np.isfinite(values).all() for values in outputs):
        raise ModelError(
            "the network gives NaN or infinity: its weights are damaged, or too large for the precision; try "
            "--precision fp32 or another --model"
        )
