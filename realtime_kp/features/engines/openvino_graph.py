"""The network as an OpenVINO model, made from arrays of weights: neither torch nor transformers is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCKS = 4


def superpoint_graph(weights: Mapping[str, NDArray[np.float32]]) -> Any:
    """SuperPoint (DeTone et al., 2018) as `SuperPointNetwork.forward` computes it, with dynamic shapes.

    Args:
        weights: By the names of `SuperPointForKeypointDetection.state_dict`.

    Returns:
        An `openvino.Model` from `(B, H, W) uint8` grey images to logits `(B, 65, H/8, W/8)` and descriptors
        `(B, H/8, W/8, D)`.
    """
    import openvino
    from openvino import opset13 as ops

    def convolved(x: Any, name: str) -> Any:
        kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        pad = [side // 2 for side in kernel.shape[2:]]
        filters = ops.constant(kernel, name=f"{name}.weight")
        x = ops.convolution(x, filters, strides=[1, 1], pads_begin=pad, pads_end=pad, dilations=[1, 1])
        return ops.add(x, ops.constant(bias.reshape(1, -1, 1, 1), name=f"{name}.bias"))

    def head(x: Any, name: str) -> Any:
        return convolved(ops.relu(convolved(x, f"{name}_a")), f"{name}_b")

    grey = ops.parameter([-1, -1, -1], np.uint8, name="grey")
    x = ops.divide(ops.convert(grey, np.float32), ops.constant(np.float32(255)))
    x = ops.unsqueeze(x, ops.constant(np.array([1])))
    for number in range(_BLOCKS):
        for layer in ("conv_a", "conv_b"):
            x = ops.relu(convolved(x, f"encoder.conv_blocks.{number}.{layer}"))
        if number < _BLOCKS - 1:
            pooled = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2])
            x = pooled.output(0)
    logits = head(x, "keypoint_decoder.conv_score")
    maps = head(x, "descriptor_decoder.conv_descriptor")
    maps = ops.transpose(maps, ops.constant(np.array([0, 2, 3, 1])))
    return openvino.Model([logits, maps], [grey], "superpoint")
