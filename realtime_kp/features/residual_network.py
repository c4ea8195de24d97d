"""A small residual network with the heads of SuperPoint, for slow computers.

The first two blocks of SuperPoint work at the full and the half resolution, which costs most of its time.
Here blocks of 4×4 pixels become 16 channels (space to depth; Shi et al., Real-Time Single Image and Video
Super-Resolution, 2016, describe the inverse), so that all layers work at a quarter and an eighth of the
resolution, in residual blocks (He et al., Deep Residual Learning for Image Recognition, 2016).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from realtime_kp.features.network import KeypointNetwork
from realtime_kp.features.shapes import SPACE_TO_DEPTH, ResidualShape


class ResidualBlock(nn.Module):
    """Two convolutions, to whose result the input is added.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(width, width, 3, padding=1)
        self.conv_b = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, h, w)` to `(B, C, h, w)`."""
        added: torch.Tensor = self.conv_b(self.conv_a(x).relu()) + x
        return added.relu()


class Stage(nn.Module):
    """A convolution and residual blocks.

    Args:
        before: Channels of the input.
        width: Channels of the output.
        blocks: Number of residual blocks.
        stride: Stride of the first convolution.
    """

    def __init__(self, before: int, width: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, 3, stride=stride, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, h, w)` to `(B, C', h, w)`, or half the height and width."""
        x = self.conv(x).relu()
        for block in self.blocks:
            x = block(x)
        return x

    def convolutions(self) -> list[nn.Conv2d]:
        """The convolutions in the order in which they run."""
        blocks = (block for block in self.blocks if isinstance(block, ResidualBlock))
        return [self.conv, *(layer for block in blocks for layer in (block.conv_a, block.conv_b))]


class ResidualNetwork(KeypointNetwork):
    """Space to depth, a stage at a quarter and one at an eighth of the resolution, and the two heads.

    Args:
        shape: Its size.
    """

    def __init__(self, shape: ResidualShape) -> None:
        super().__init__()
        self._shape = shape
        quarter, eighth = shape.encoder
        self.quarter = Stage(SPACE_TO_DEPTH**2, quarter, shape.blocks[0], stride=1)
        self.eighth = Stage(quarter, eighth, shape.blocks[1], stride=2)
        self.score_head = _head(eighth, shape.head, 65)
        self.descriptor_head = _head(eighth, shape.head, shape.descriptor)

    @property
    def shape(self) -> ResidualShape:
        """Its size."""
        return self._shape

    @property
    def first(self) -> nn.Conv2d:
        """First convolution."""
        return self.quarter.conv

    def encoded(self, grey: torch.Tensor) -> torch.Tensor:
        """Features of images."""
        x = functional.pixel_unshuffle(grey, SPACE_TO_DEPTH)
        features: torch.Tensor = self.eighth(self.quarter(x))
        return features

    def encoder_convolutions(self) -> list[nn.Conv2d]:
        """The convolutions of both stages."""
        return [*self.quarter.convolutions(), *self.eighth.convolutions()]


def _head(width: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))
