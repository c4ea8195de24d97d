"""The networks for training, with batch normalisation, and how the normalisations are folded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from realtime_kp.features.network import SuperPointNetwork
from realtime_kp.features.residual_network import ResidualNetwork
from realtime_kp.features.shapes import SPACE_TO_DEPTH, ResidualShape, Shape

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection

Arch = Literal["base", "small", "nano"]

SHAPES: dict[Arch, Shape | ResidualShape] = {
    "base": Shape((64, 64, 128, 128), 256, 256),
    "small": Shape((16, 32, 64, 128), 128, 128),
    "nano": ResidualShape((24, 64), (1, 3), 64, 64),
}


class TrainableNetwork(nn.Module, ABC):
    """An encoder with batch normalisation, and the two heads.

    Attributes:
        blocks: The encoder, in parts that can be frozen.

    Args:
        shape: Channel counts.
    """

    blocks: nn.ModuleList

    def __init__(self, shape: Shape | ResidualShape) -> None:
        super().__init__()
        self.shape = shape
        self.blocks = self._make_blocks()
        width = shape.encoder[-1]
        self.score_hidden = normalised_convolution(width, shape.head)
        self.score_out = nn.Conv2d(shape.head, 65, 1)
        self.descriptor_hidden = normalised_convolution(width, shape.head)
        self.descriptor_out = nn.Conv2d(shape.head, shape.descriptor, 1)

    @abstractmethod
    def _make_blocks(self) -> nn.ModuleList: ...

    @abstractmethod
    def encoded(self, grey: torch.Tensor) -> torch.Tensor:
        """Features `(B, C, H/8, W/8)` of images `(B, 1, H, W)`, 0 to 1."""

    @abstractmethod
    def _encoder_layers(self) -> list[nn.Module]: ...

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the network.

        Args:
            grey: `(B, 1, H, W)`, 0 to 1; H and W multiples of 8.

        Returns:
            Logits `(B, 65, H/8, W/8)` and descriptors `(B, D, H/8, W/8)`, neither normalised.
        """
        x = self.encoded(grey)
        return self.score_out(self.score_hidden(x)), self.descriptor_out(self.descriptor_hidden(x))

    def descriptor_head(self) -> tuple[nn.Module, nn.Module]:
        """Layers of the descriptor head."""
        return self.descriptor_hidden, self.descriptor_out

    def layers(self) -> list[nn.Module]:
        """Layers in the order of `KeypointNetwork.convolutions`, normalised but for the last of each head."""
        heads = (self.score_hidden, self.score_out, self.descriptor_hidden, self.descriptor_out)
        return [*self._encoder_layers(), *heads]

    @torch.no_grad()
    def fold_into(self, plain: Iterable[nn.Conv2d]) -> None:
        """Give convolutions without normalisation the weights with which they compute the same."""
        for target, source in zip(plain, self.layers(), strict=True):
            weight, bias = _fold(source)
            target.weight.copy_(weight)
            assert target.bias is not None
            target.bias.copy_(bias)


class TrainableSuperPoint(TrainableNetwork):
    """SuperPoint: four blocks, of which three end in max-pooling."""

    def _make_blocks(self) -> nn.ModuleList:
        blocks, before = [], 1
        for width in self.shape.encoder:
            blocks.append(
                nn.Sequential(normalised_convolution(before, width), normalised_convolution(width, width))
            )
            before = width
        return nn.ModuleList(blocks)

    def encoded(self, grey: torch.Tensor) -> torch.Tensor:
        """Features of images."""
        x = grey
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number < len(self.blocks) - 1:
                x = nn.functional.max_pool2d(x, 2)
        return x

    def _encoder_layers(self) -> list[nn.Module]:
        return [layer for block in self.blocks if isinstance(block, nn.Sequential) for layer in block]

    def folded(self) -> SuperPointForKeypointDetection:
        """The same network as a model of transformers: normalisations are folded into the convolutions."""
        from transformers import SuperPointConfig, SuperPointForKeypointDetection

        config = SuperPointConfig(
            encoder_hidden_sizes=list(self.shape.encoder),
            decoder_hidden_size=self.shape.head,
            descriptor_decoder_dim=self.shape.descriptor,
            keypoint_threshold=0.005,
            max_keypoints=1024,
            nms_radius=4,
            border_removal_distance=4,
            descriptor_grid="exact",
        )
        model = SuperPointForKeypointDetection(config).eval()
        self.fold_into(SuperPointNetwork(model).convolutions())
        return model


class TrainableResidual(TrainableNetwork):
    """The residual network of `features.residual_network`; its blocks are its two stages."""

    def _make_blocks(self) -> nn.ModuleList:
        shape = self._residual_shape()
        quarter, eighth = shape.encoder
        of_quarter, of_eighth = shape.blocks
        first = normalised_convolution(SPACE_TO_DEPTH**2, quarter)
        second = normalised_convolution(quarter, eighth, stride=2)
        return nn.ModuleList(
            [
                nn.Sequential(first, *(_ResidualBlock(quarter) for _ in range(of_quarter))),
                nn.Sequential(second, *(_ResidualBlock(eighth) for _ in range(of_eighth))),
            ]
        )

    def _residual_shape(self) -> ResidualShape:
        assert isinstance(self.shape, ResidualShape)
        return self.shape

    def encoded(self, grey: torch.Tensor) -> torch.Tensor:
        """Features of images."""
        x = nn.functional.pixel_unshuffle(grey, SPACE_TO_DEPTH)
        for block in self.blocks:
            x = block(x)
        return x

    def _encoder_layers(self) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for stage in self.blocks:
            assert isinstance(stage, nn.Sequential)
            for part in stage:
                layers.extend([part.conv_a, part.conv_b] if isinstance(part, _ResidualBlock) else [part])
        return layers

    def folded(self) -> ResidualNetwork:
        """The same network with its normalisations folded into the convolutions."""
        network = ResidualNetwork(self._residual_shape()).eval()
        self.fold_into(network.convolutions())
        return network


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_a = normalised_convolution(width, width)
        self.conv_b = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = self.conv_b(self.conv_a(x)) + x
        return added.relu()


def new_network(shape: Shape | ResidualShape) -> TrainableSuperPoint | TrainableResidual:
    """A network of a shape with random weights."""
    return TrainableSuperPoint(shape) if isinstance(shape, Shape) else TrainableResidual(shape)


def normalised_convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """A convolution, its batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _fold(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    if isinstance(layer, nn.Conv2d):
        assert layer.bias is not None
        return layer.weight, layer.bias
    assert isinstance(layer, nn.Sequential)
    convolution, norm = layer[0], layer[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return convolution.weight * gain.view(-1, 1, 1, 1), norm.bias - norm.running_mean * gain
