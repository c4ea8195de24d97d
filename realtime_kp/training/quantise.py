"""8-bit versions of a model for OpenVINO, by calibration on pictures; needs `nncf`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ModelError
from realtime_kp.features.network import SuperPointNetwork
from realtime_kp.features.openvino_engine import openvino_graph
from realtime_kp.features.weights_store import INT8_FILE

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection


def quantise(model: SuperPointForKeypointDetection, tiles: NDArray[np.uint8], folder: Path) -> Path:
    """Write the 8-bit network beside the weights.

    The first convolution and the keypoint head stay as they are: they see and decide pixels, cost little,
    and in 8 bits move keypoints.

    Args:
        model: The weights.
        tiles: `(N, S, S) uint8`, pictures to calibrate with.
        folder: Where the file goes.

    Returns:
        The file.

    Raises:
        ModelError: `nncf` is not installed.
    """
    try:
        import nncf
    except ImportError as exc:
        raise ModelError("quantising needs nncf: pip install 'realtime-kp[quantise]'") from exc
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    graph = openvino_graph(SuperPointNetwork(model).eval())
    names = [op.get_friendly_name() for op in graph.get_ops() if op.get_type_name() == "Convolution"]
    kept = [name for name in names if "first" in name or "score_head" in name]
    small = nncf.quantize(
        graph,
        nncf.Dataset([tile[None] for tile in tiles]),
        subset_size=len(tiles),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=kept),
    )
    path = folder / INT8_FILE
    openvino.save_model(small, path, compress_to_fp16=True)
    return path
