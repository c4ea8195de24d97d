"""Unfolding of batch normalisation: a network whose normalisations were folded becomes trainable again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from realtime_kp.training.architecture import Shape, TrainableSuperPoint, plain_convolutions

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection


@torch.no_grad()
def unfold_batch_norm(model: SuperPointForKeypointDetection, grey: torch.Tensor) -> TrainableSuperPoint:
    """Insert batch normalisations that do not change the outputs of a network.

    Each normalisation takes mean and variance from the outputs of its convolution on the given images, and
    undoes them by its own weight and bias. In evaluation the result is exact, in training nearly so while the
    images of a step have similar statistics.

    Args:
        model: A network without normalisations, as `train` writes it.
        grey: `(B, 1, H, W) float32`, 0 to 1, on the CPU; H and W multiples of 8.

    Returns:
        The trainable network, on the CPU.
    """
    config = model.config
    first, second, third, fourth = config.encoder_hidden_sizes
    shape = Shape((first, second, third, fourth), config.decoder_hidden_size, config.descriptor_decoder_dim)
    network = TrainableSuperPoint(shape)
    plain = plain_convolutions(model)
    x = grey
    for number, block in enumerate(network.blocks):
        assert isinstance(block, nn.Sequential)
        for layer in block:
            x = _unfold(layer, next(plain), x)
        if number < len(network.blocks) - 1:
            x = functional.max_pool2d(x, 2)
    for hidden, out in (
        (network.score_hidden, network.score_out),
        (network.descriptor_hidden, network.descriptor_out),
    ):
        _unfold(hidden, next(plain), x)
        out.load_state_dict(next(plain).state_dict())
    return network.eval()


def _unfold(layer: nn.Module, plain: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Set the weights of one layer; returns its output for the input `x`."""
    assert isinstance(layer, nn.Sequential)
    convolution, norm = layer[0], layer[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert plain.bias is not None
    convolution.weight.copy_(plain.weight)
    linear: torch.Tensor = convolution(x)
    variance, mean = torch.var_mean(linear, dim=(0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(mean + plain.bias)
    return functional.relu(linear + plain.bias.view(1, -1, 1, 1))
