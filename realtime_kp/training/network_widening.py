"""Network widening: a wider network initialised from a narrower one.

After Net2Net (Chen, Goodfellow and Shlens, 2016), with newly initialised channels instead of copies, so that
no symmetry between copies has to be broken.
"""

from __future__ import annotations

import torch
from torch import nn

from realtime_kp.training.architecture import TrainableNetwork

# Weight scale of new outputs that are not silenced, small against the trained ones.
_FRESH_OUTPUT = 0.1


@torch.no_grad()
def widen_network(narrow: TrainableNetwork, wide: TrainableNetwork) -> None:
    """Copy a trained network into one of equal or larger widths.

    The first channels of each layer become those of the narrow network and take no input from new channels.
    Keypoints are the same at first and descriptors nearly so; new channels contribute after the first step.

    Args:
        narrow: The trained network.
        wide: A newly initialised network in which no layer is narrower.

    Raises:
        ValueError: A layer of `wide` is the narrower one, or it has other layers.
    """
    if _depths(wide) != _depths(narrow) or any(
        new < old for new, old in zip(_widths(wide), _widths(narrow), strict=True)
    ):
        raise ValueError(f"a network of {wide.shape} cannot hold one of {narrow.shape}")
    for target, source in zip(_leaves(wide), _leaves(narrow), strict=True):
        if isinstance(target, nn.Conv2d) and isinstance(source, nn.Conv2d):
            _widen_convolution(target, source)
        elif isinstance(target, nn.BatchNorm2d) and isinstance(source, nn.BatchNorm2d):
            _widen_norm(target, source)


def _widths(network: TrainableNetwork) -> list[int]:
    return [*network.shape.encoder, network.shape.head, network.shape.descriptor]


def _depths(network: TrainableNetwork) -> tuple[int, ...]:
    """What has to be equal: the number of widths, and of residual blocks."""
    return (len(network.shape.encoder), *getattr(network.shape, "blocks", ()))


def _leaves(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]


def _widen_convolution(target: nn.Conv2d, source: nn.Conv2d) -> None:
    outputs, inputs = source.weight.shape[:2]
    target.weight[:outputs] = 0
    target.weight[:outputs, :inputs] = source.weight
    if target.bias is not None and source.bias is not None:
        # Only the last layers have a bias; no layer follows that could silence their new outputs.
        target.bias[:outputs] = source.bias
        target.weight[outputs:] *= _FRESH_OUTPUT
        target.bias[outputs:] = 0


def _widen_norm(target: nn.BatchNorm2d, source: nn.BatchNorm2d) -> None:
    count = source.num_features
    target.weight[:count], target.bias[:count] = source.weight, source.bias
    assert target.running_mean is not None
    assert target.running_var is not None
    assert source.running_mean is not None
    assert source.running_var is not None
    target.running_mean[:count], target.running_var[:count] = source.running_mean, source.running_var
