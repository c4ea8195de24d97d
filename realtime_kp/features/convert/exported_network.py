"""What is exported: modules with outputs of fixed meaning, from operations that other runtimes have."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from realtime_kp.features.decode.settings import DecodeSettings, block_px
from realtime_kp.features.decode.suppression import non_maximum_suppression
from realtime_kp.features.decode.torch_decoder import heatmap, refine, sample_descriptors
from realtime_kp.features.network import KeypointNetwork


class HeadsOnly(nn.Module):
    """The network alone.

    Args:
        network: The network.
    """

    def __init__(self, network: KeypointNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits `(B, 65, H/8, W/8)` and descriptors `(B, H/8, W/8, D)`, float32, of `(B, H, W) uint8`."""
        logits, descriptor_map = self.network(grey)
        return logits.float(), descriptor_map.float()


class WithKeypoints(nn.Module):
    """Network and decoding: the same mathematics as `torch_decoder.decode`.

    It is written without max-pools that return indices and without assignments to parts of a tensor, which
    TensorRT does not have.

    Args:
        network: The network.
        settings: Settings of decoding.
        threshold: Keypoints that do not score above it have the score 0.
    """

    def __init__(self, network: KeypointNetwork, settings: DecodeSettings, threshold: float) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.threshold = threshold

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Keypoints of grey images.

        Args:
            grey: `(B, H, W) uint8`.

        Returns:
            `(B, K, 2) float32` positions in pixels of the input; `(B, K) float32` scores, best first, 0 in
            unused rows; `(B, K, D) float32` descriptors of unit length.
        """
        logits, descriptor_map = self.network(grey)
        heat, settings = heatmap(logits), self.settings
        peaks = _without_border(non_maximum_suppression(heat, settings.nms_radius), settings.border)
        xy, scores = _top(peaks, settings.max_keypoints, block_px(settings.nms_radius))
        if settings.subpixel:
            xy = refine(heat, xy)
        descriptors = sample_descriptors(descriptor_map, xy, settings.descriptor_grid)
        return xy, torch.where(scores > self.threshold, scores, torch.zeros_like(scores)), descriptors


def _without_border(heat: torch.Tensor, border: int) -> torch.Tensor:
    if border == 0:
        return heat
    return functional.pad(heat[:, border:-border, border:-border], [border] * 4)


def _top(peaks: torch.Tensor, count: int, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest peaks, of each block of pixels at most one; see `torch_decoder.top_keypoints`."""
    batch, height, width = peaks.shape
    rows, columns = height // block, width // block
    blocks = peaks.view(batch, rows, block, columns, block).permute(0, 1, 3, 2, 4).flatten(3).flatten(1, 2)
    values, inside = blocks.max(dim=2)
    scores, ranked = values.topk(count, dim=1)
    within = inside.gather(1, ranked)
    # In floating point, exact up to 2^22 blocks: not every runtime has remainders of whole numbers.
    ranked, within = ranked.float(), within.float()
    row, down = ((ranked + 0.5) / columns).floor(), ((within + 0.5) / block).floor()
    x = (ranked - row * columns) * block + within - down * block
    return torch.stack([x, row * block + down], dim=2), scores
