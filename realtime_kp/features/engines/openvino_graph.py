"""The networks as OpenVINO models, made from arrays of weights: neither torch nor transformers is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.features.shapes import SPACE_TO_DEPTH

Arrays = Mapping[str, NDArray[np.float32]]

_BLOCKS = 4


def network_graph(weights: Arrays) -> Any:
    """A network as `KeypointNetwork.forward` computes it, with dynamic shapes.

    Args:
        weights: By the names of `SuperPointForKeypointDetection.state_dict` or of
            `ResidualNetwork.state_dict`, which tell one network from the other.

    Returns:
        An `openvino.Model` from `(B, H, W) uint8` grey images to logits `(B, 65, H/8, W/8)` and descriptors
        `(B, H/8, W/8, D)`.
    """
    import openvino
    from openvino import opset13 as ops

    grey = ops.parameter([-1, -1, -1], np.uint8, name="grey")
    x = ops.divide(ops.convert(grey, np.float32), ops.constant(np.float32(255)))
    x = ops.unsqueeze(x, ops.constant(np.array([1])))
    layers = _Layers(weights)
    heads = _residual(x, layers) if "quarter.conv.weight" in weights else _superpoint(x, layers)
    logits, maps = heads
    maps = ops.transpose(maps, ops.constant(np.array([0, 2, 3, 1])))
    return openvino.Model([logits, maps], [grey], "superpoint")


class _Layers:
    """Convolutions by the names of their weights."""

    def __init__(self, weights: Arrays) -> None:
        self._weights = weights

    def blocks(self, stage: str) -> list[str]:
        """Names of the residual blocks of a stage."""
        names: list[str] = []
        while f"{stage}.blocks.{len(names)}.conv_a.weight" in self._weights:
            names.append(f"{stage}.blocks.{len(names)}")
        return names

    def convolved(self, x: Any, name: str, stride: int = 1) -> Any:
        """A convolution with its bias."""
        from openvino import opset13 as ops

        kernel, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        pad = [side // 2 for side in kernel.shape[2:]]
        filters = ops.constant(kernel, name=f"{name}.weight")
        x = ops.convolution(x, filters, strides=[stride] * 2, pads_begin=pad, pads_end=pad, dilations=[1, 1])
        return ops.add(x, ops.constant(bias.reshape(1, -1, 1, 1), name=f"{name}.bias"))

    def head(self, x: Any, first: str, second: str) -> Any:
        """Two convolutions with ReLU between them."""
        from openvino import opset13 as ops

        return self.convolved(ops.relu(self.convolved(x, first)), second)


def _superpoint(x: Any, layers: _Layers) -> tuple[Any, Any]:
    """SuperPoint (DeTone et al., 2018)."""
    from openvino import opset13 as ops

    for number in range(_BLOCKS):
        for layer in ("conv_a", "conv_b"):
            x = ops.relu(layers.convolved(x, f"encoder.conv_blocks.{number}.{layer}"))
        if number < _BLOCKS - 1:
            pooled = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2])
            x = pooled.output(0)
    return (
        layers.head(x, "keypoint_decoder.conv_score_a", "keypoint_decoder.conv_score_b"),
        layers.head(x, "descriptor_decoder.conv_descriptor_a", "descriptor_decoder.conv_descriptor_b"),
    )


def _residual(x: Any, layers: _Layers) -> tuple[Any, Any]:
    """`ResidualNetwork`."""
    from openvino import opset13 as ops

    x = ops.space_to_depth(x, "depth_first", SPACE_TO_DEPTH)
    for stage, stride in (("quarter", 1), ("eighth", 2)):
        x = ops.relu(layers.convolved(x, f"{stage}.conv", stride))
        for block in layers.blocks(stage):
            inner = ops.relu(layers.convolved(x, f"{block}.conv_a"))
            x = ops.relu(ops.add(layers.convolved(inner, f"{block}.conv_b"), x))
    return (
        layers.head(x, "score_head.0", "score_head.2"),
        layers.head(x, "descriptor_head.0", "descriptor_head.2"),
    )
