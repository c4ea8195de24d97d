"""The network of SuperPoint: modules of transformers, batched and without post-processing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection


class SuperPointNetwork(nn.Module):
    """Encoder and both heads with fixed shapes; decoding is separate.

    Args:
        model: A loaded `SuperPointForKeypointDetection`; its modules are shared, not copied.
    """

    def __init__(self, model: SuperPointForKeypointDetection) -> None:
        super().__init__()
        self.blocks = model.encoder.conv_blocks
        scores, descriptors = model.keypoint_decoder, model.descriptor_decoder
        self.first = model.encoder.conv_blocks[0].conv_a
        self.score_head = nn.Sequential(scores.conv_score_a, nn.ReLU(), scores.conv_score_b)
        self.descriptor_head = nn.Sequential(
            descriptors.conv_descriptor_a, nn.ReLU(), descriptors.conv_descriptor_b
        )

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
        for block in self.blocks:
            x = block(x)
            x = x[0] if isinstance(x, tuple) else x
        return self.score_head(x), self.descriptor_head(x).permute(0, 2, 3, 1)
