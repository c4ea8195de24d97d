"""The network for training, with batch normalisation, and its export with normalisations folded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection

Arch = Literal["base", "small"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Channel counts of a network.

    Attributes:
        encoder: Channels of the four blocks.
        head: Channels of the hidden layer of both heads.
        descriptor: Length of a descriptor.
    """

    encoder: tuple[int, int, int, int]
    head: int
    descriptor: int


SHAPES: dict[Arch, Shape] = {
    "base": Shape((64, 64, 128, 128), 256, 256),
    "small": Shape((16, 32, 64, 128), 128, 128),
}


class TrainableSuperPoint(nn.Module):
    """SuperPoint with batch normalisation: four blocks, of which three end in max-pooling, and two heads.

    Args:
        shape: Channel counts.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        blocks, before = [], 1
        for width in shape.encoder:
            blocks.append(nn.Sequential(_convolution(before, width), _convolution(width, width)))
            before = width
        self.blocks = nn.ModuleList(blocks)
        self.score_hidden = _convolution(before, shape.head)
        self.score_out = nn.Conv2d(shape.head, 65, 1)
        self.descriptor_hidden = _convolution(before, shape.head)
        self.descriptor_out = nn.Conv2d(shape.head, shape.descriptor, 1)

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the network.

        Args:
            grey: `(B, 1, H, W)`, 0 to 1; H and W multiples of 8.

        Returns:
            Logits `(B, 65, H/8, W/8)` and descriptors `(B, D, H/8, W/8)`, neither normalised.
        """
        x = grey
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number < len(self.blocks) - 1:
                x = nn.functional.max_pool2d(x, 2)
        return self.score_out(self.score_hidden(x)), self.descriptor_out(self.descriptor_hidden(x))

    def descriptor_head(self) -> tuple[nn.Module, nn.Module]:
        """Layers of the descriptor head."""
        return self.descriptor_hidden, self.descriptor_out

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
        with torch.no_grad():
            for target, source in zip(plain_convolutions(model), self._layers(), strict=True):
                weight, bias = _fold(source)
                target.weight.copy_(weight)
                assert target.bias is not None
                target.bias.copy_(bias)
        return model

    def _layers(self) -> Iterator[nn.Module]:
        for block in self.blocks:
            assert isinstance(block, nn.Sequential)
            yield from block
        yield from (self.score_hidden, self.score_out, self.descriptor_hidden, self.descriptor_out)


def _convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def plain_convolutions(model: SuperPointForKeypointDetection) -> Iterator[nn.Conv2d]:
    """All convolutions in order: encoder, keypoint head (two), descriptor head (two)."""
    for block in model.encoder.conv_blocks:
        yield from (block.conv_a, block.conv_b)
    yield from (model.keypoint_decoder.conv_score_a, model.keypoint_decoder.conv_score_b)
    yield from (model.descriptor_decoder.conv_descriptor_a, model.descriptor_decoder.conv_descriptor_b)


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
