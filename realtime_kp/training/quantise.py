"""Quantisation of a model to 8 bits for OpenVINO, calibrated on images; needs `nncf`."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from realtime_kp.errors import ModelError
from realtime_kp.features.network import KeypointNetwork
from realtime_kp.features.weights_store import INT8_FILE

if TYPE_CHECKING:
    from openvino import Model, Node


def quantise(network: KeypointNetwork, tiles: NDArray[np.uint8], folder: Path) -> Path:
    """Write the 8-bit network beside the weights.

    The last convolutions of both heads are not quantised: they decide positions and descriptors, and cost
    little. Biases are corrected layer by layer on the outputs of the quantised layers before them, which
    takes longer than the fast bias correction of nncf and keeps more matches under large changes of view.

    Args:
        network: The network; its weights are not changed.
        tiles: `(N, S, S) uint8`, calibration images.
        folder: Folder of the file.

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
    graph = _converted(network.eval())
    kept = [op for head in ("score_head.2", "descriptor_head.2") for op in _convolutions(graph, head)]
    small = nncf.quantize(
        graph,
        nncf.Dataset([tile[None] for tile in tiles]),
        subset_size=len(tiles),
        preset=nncf.QuantizationPreset.MIXED,
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=[op.get_friendly_name() for op in kept]),
    )
    ordered = small.get_ordered_ops()
    _keep_all_greys(next(op for op in ordered if op.get_type_name() == "Convolution"))
    path = folder / INT8_FILE
    openvino.save_model(small, path, compress_to_fp16=True)
    return path


def _convolutions(graph: Model, part: str) -> list[Node]:
    """Convolutions in a part of the network."""
    ops = graph.get_ops()
    return [op for op in ops if op.get_type_name() == "Convolution" and part in op.get_friendly_name()]


def _keep_all_greys(first: Node) -> None:
    """Map the 256 quantisation levels of the input to the 256 grey levels of an image.

    Calibration chooses the range that occurs most often, which rounds every grey level and saturates bright
    ones. This moved keypoints more than all other rounding together.
    """
    from openvino import op

    node = first.input_value(0).get_node()
    while node.get_type_name() != "FakeQuantize":
        node = node.input_value(0).get_node()
    for index, value in enumerate((0, 1, 0, 1), start=1):  # lowest and highest, of the input and the output
        node.input(index).replace_source_output(op.Constant(np.array(value, np.float32)).output(0))


def _converted(network: KeypointNetwork) -> Model:
    """The network as an OpenVINO model in fp32 with dynamic shapes, whose layers keep their names."""
    import openvino

    example = torch.zeros(1, 64, 64, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        # OpenVINO traces the network with a deprecated function of torch.
        warnings.simplefilter("ignore")
        return openvino.convert_model(network.float(), example_input=example)
