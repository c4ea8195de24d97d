"""A wider network that begins by saying what a narrow one says.

After Net2Net (Chen, Goodfellow and Shlens, 2016), with fresh channels in place of copies: nothing has to
break a symmetry between twins.
"""

from __future__ import annotations

import torch
from torch import nn

from realtime_kp.training.architecture import TrainableSuperPoint

# Of a fresh output that is not silenced: small beside what is already known.
_FRESH_OUTPUT = 0.1


@torch.no_grad()
def widen(narrow: TrainableSuperPoint, wide: TrainableSuperPoint) -> None:
    """Move what a network knows into one of the same or of larger widths.

    The first channels of every layer become the narrow network's; they do not listen to the fresh ones, which
    keep the weights that they were made with. So the keypoints are the same at first, the descriptors nearly
    so, and the fresh channels are heard as soon as a step has been taken.

    Args:
        narrow: Trained.
        wide: Freshly made, no layer narrower.

    Raises:
        ValueError: A layer of `wide` is the narrower one.
    """
    if any(new < old for new, old in zip(_widths(wide), _widths(narrow), strict=True)):
        raise ValueError(f"a network of {wide.shape} cannot hold one of {narrow.shape}")
    for target, source in zip(_leaves(wide), _leaves(narrow), strict=True):
        if isinstance(target, nn.Conv2d) and isinstance(source, nn.Conv2d):
            _widen_convolution(target, source)
        elif isinstance(target, nn.BatchNorm2d) and isinstance(source, nn.BatchNorm2d):
            _widen_norm(target, source)


def _widths(network: TrainableSuperPoint) -> list[int]:
    return [*network.shape.encoder, network.shape.head, network.shape.descriptor]


def _leaves(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]


def _widen_convolution(target: nn.Conv2d, source: nn.Conv2d) -> None:
    outputs, inputs = source.weight.shape[:2]
    target.weight[:outputs] = 0
    target.weight[:outputs, :inputs] = source.weight
    if target.bias is not None and source.bias is not None:
        # Only the last layers have one. Nothing follows that could silence their fresh outputs.
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
