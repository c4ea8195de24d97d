"""Unfolding of batch normalisation: a network whose normalisations were folded becomes trainable again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import nn

from realtime_kp.training.architecture import TrainableNetwork


@torch.no_grad()
def unfold_batch_norm(network: TrainableNetwork, plain: Iterable[nn.Conv2d], grey: torch.Tensor) -> None:
    """Make a network compute what convolutions without normalisation do.

    Each normalisation takes mean and variance from the outputs of its convolution on the given images, and
    undoes them by its own weight and bias. In evaluation the result is exact, in training nearly so while the
    images of a step have similar statistics.

    Args:
        network: The network that gets the weights, on the CPU; it is in evaluation mode afterwards.
        plain: The convolutions, as `KeypointNetwork.convolutions` lists them.
        grey: `(B, 1, H, W) float32`, 0 to 1, on the CPU; H and W multiples of 8.
    """
    hooks = []
    for layer, convolution in zip(network.layers(), plain, strict=True):
        if isinstance(layer, nn.Conv2d):
            layer.load_state_dict(convolution.state_dict())
            continue
        assert isinstance(layer, nn.Sequential)
        linear, norm = layer[0], layer[1]
        assert isinstance(linear, nn.Conv2d)
        assert convolution.bias is not None
        linear.weight.copy_(convolution.weight)
        hooks.append(norm.register_forward_pre_hook(partial(_undo, bias=convolution.bias)))
    network.eval()
    try:
        network(grey)
    finally:
        for hook in hooks:
            hook.remove()


def _undo(norm: nn.Module, inputs: tuple[torch.Tensor], bias: torch.Tensor) -> None:
    """Make a normalisation add the bias alone."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(mean + bias)
