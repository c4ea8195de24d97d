"""The networks that find keypoints: one interface, and SuperPoint with the modules of transformers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import nn

from realtime_kp.features.shapes import ResidualShape, Shape

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection


class KeypointNetwork(nn.Module, ABC):
    """An encoder at 1/8 of the input and two heads, batched and without post-processing.

    Attributes:
        score_head: Convolution, ReLU, convolution to 64 positions of a cell and "no keypoint".
        descriptor_head: Convolution, ReLU, convolution to descriptors.
    """

    score_head: nn.Sequential
    descriptor_head: nn.Sequential

    @property
    @abstractmethod
    def first(self) -> nn.Conv2d:
        """First convolution."""

    @property
    @abstractmethod
    def shape(self) -> Shape | ResidualShape:
        """Its size."""

    @abstractmethod
    def encoded(self, grey: torch.Tensor) -> torch.Tensor:
        """Features `(B, C, H/8, W/8)` of images `(B, 1, H, W)`, 0 to 1."""

    @abstractmethod
    def encoder_convolutions(self) -> list[nn.Conv2d]:
        """The convolutions of the encoder, in the order in which they run."""

    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in order: encoder, keypoint head (two), descriptor head (two)."""
        heads = (*self.score_head, *self.descriptor_head)
        return [*self.encoder_convolutions(), *(layer for layer in heads if isinstance(layer, nn.Conv2d))]

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the network.

        Args:
            grey: `(B, H, W) uint8`, grey; H and W multiples of 8.

        Returns:
            Logits `(B, 65, H/8, W/8)` and descriptors `(B, H/8, W/8, D)`, neither normalised.
        """
        weight = self.first.weight
        x = (grey.to(weight.dtype) / 255).unsqueeze(1)
        if weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.encoded(x)
        return self.score_head(x), self.descriptor_head(x).permute(0, 2, 3, 1)


class SuperPointNetwork(KeypointNetwork):
    """SuperPoint (DeTone et al., 2018): four blocks of two convolutions, three of them before a max-pool.

    Args:
        model: A loaded `SuperPointForKeypointDetection`; its modules are shared, not copied.
    """

    def __init__(self, model: SuperPointForKeypointDetection) -> None:
        super().__init__()
        self.blocks = model.encoder.conv_blocks
        scores, descriptors = model.keypoint_decoder, model.descriptor_decoder
        self.score_head = nn.Sequential(scores.conv_score_a, nn.ReLU(), scores.conv_score_b)
        self.descriptor_head = nn.Sequential(
            descriptors.conv_descriptor_a, nn.ReLU(), descriptors.conv_descriptor_b
        )

    @property
    def first(self) -> nn.Conv2d:
        """First convolution."""
        convolution: nn.Conv2d = self.blocks[0].conv_a
        return convolution

    def encoded(self, grey: torch.Tensor) -> torch.Tensor:
        """Features of images."""
        x = grey
        for block in self.blocks:
            x = block(x)
            x = x[0] if isinstance(x, tuple) else x
        return x

    def encoder_convolutions(self) -> list[nn.Conv2d]:
        """The two convolutions of each block."""
        return [convolution for block in self.blocks for convolution in (block.conv_a, block.conv_b)]

    @property
    def shape(self) -> Shape:
        """Channel counts."""
        widths = [layer.out_channels for layer in self.convolutions()]
        first, second, third, last, head, _, _, descriptor = widths[1:-4:2] + widths[-4:]
        return Shape((first, second, third, last), head, descriptor)
