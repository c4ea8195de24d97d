"""Decoding in torch: batched, in float32, with fixed shapes and without host synchronisation.

All coordinates are network pixels; the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from realtime_kp.features.decode.settings import (
    CELL,
    REFINE_REACH_PX,
    DecodeSettings,
    HostArrays,
    block_px,
    grid_scale,
)
from realtime_kp.features.decode.suppression import non_maximum_suppression


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Result of fixed size for B images: the K best peaks of each, best first, some of them possibly unused.

    Attributes:
        xy: `(B, K, 2) float32`, network pixels.
        scores: `(B, K) float32`; 0 in unused rows.
        descriptors: `(B, K, D) float32`, unit length.
    """

    xy: torch.Tensor
    scores: torch.Tensor
    descriptors: torch.Tensor

    def to_host(self) -> HostArrays:
        """Positions, scores and descriptors as NumPy arrays, in one transfer."""
        return unpack(self.packed().cpu())

    def packed(self) -> torch.Tensor:
        """All three in one tensor: `(B, K, 3 + D) float32`."""
        return torch.cat([self.xy, self.scores.unsqueeze(2), self.descriptors], dim=2)


def unpack(packed: torch.Tensor) -> HostArrays:
    """Split the result of `DecodedBatch.packed`, in host memory, into views."""
    whole = packed.numpy()
    return whole[..., :2], whole[..., 2], whole[..., 3:]


def decode(
    logits: torch.Tensor,
    descriptor_map: torch.Tensor,
    settings: DecodeSettings,
    masks: torch.Tensor | None = None,
) -> DecodedBatch:
    """Decode the outputs of both heads into the best keypoints of each image.

    Args:
        logits: `(B, 65, h, w)`, any float type; the last channel is the "no keypoint" bin.
        descriptor_map: `(B, h, w, D)`, any float type, not normalised.
        settings: Settings of decoding.
        masks: `(B, 8h, 8w) uint8`, 0 where there must be no keypoint; None masks nothing.

    Returns:
        Keypoints in network pixels.
    """
    heat = heatmap(logits)
    heat = heat if masks is None else heat * (masks > 0)
    peaks = trim_border(non_maximum_suppression(heat, settings.nms_radius), settings.border)
    xy, scores = top_keypoints(peaks, settings.max_keypoints, settings.nms_radius)
    if settings.subpixel:
        xy = refine(heat, xy)
    return DecodedBatch(xy, scores, sample_descriptors(descriptor_map, xy, settings.descriptor_grid))


def heatmap(logits: torch.Tensor) -> torch.Tensor:
    """Soft-max over the 64 positions of each 8×8 cell and "no keypoint", as a full-size heat map.

    Args:
        logits: `(B, 65, h, w)`.

    Returns:
        `(B, 8h, 8w) float32`, probabilities (DeTone et al., SuperPoint, 2018, section 3.2).
    """
    batch, _, rows, columns = logits.shape
    cells = logits.float().softmax(dim=1)[:, :-1].view(batch, CELL, CELL, rows, columns)
    return cells.permute(0, 3, 1, 4, 2).reshape(batch, rows * CELL, columns * CELL)


def trim_border(heat: torch.Tensor, border: int) -> torch.Tensor:
    """Set the map to 0 within `border` pixels of all four edges."""
    if border == 0:
        return heat
    trimmed = torch.zeros_like(heat)
    inside = (slice(None), slice(border, -border), slice(border, -border))
    trimmed[inside] = heat[inside]
    return trimmed


def top_keypoints(peaks: torch.Tensor, count: int, radius: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` highest peaks after non-maximum suppression.

    Peaks are more than r apart (except for exact ties), so that a block of b ≤ r + 1 pixels contains at most
    one: only the maxima of the blocks are ranked.

    Args:
        peaks: `(B, H, W)`, 0 where there is no peak; H and W multiples of 8.
        count: K.
        radius: Radius of the suppression.

    Returns:
        `(B, K, 2) float32` positions (x, y) and `(B, K)` scores, best first; rows of score 0 are unused.
    """
    width = peaks.shape[2]
    block = block_px(radius)
    if block == 1:
        values, places = peaks.flatten(1), None
    else:
        pooled, inside = functional.max_pool2d(peaks.unsqueeze(1), block, return_indices=True)
        values, places = pooled.flatten(1), inside.flatten(1)
    k = min(count, values.shape[1])
    scores, ranked = values.topk(k, dim=1)
    flat = ranked if places is None else places.gather(1, ranked)
    xy = torch.stack([flat % width, flat.div(width, rounding_mode="floor")], dim=2).float()
    return xy, scores


def refine(heat: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    """Sub-pixel refinement: centre of mass of the 5×5 pixels around each keypoint (soft-argmax).

    Args:
        heat: `(B, H, W)`, heat map before suppression.
        xy: `(B, K, 2)`, whole pixels.

    Returns:
        `(B, K, 2) float32`.
    """
    windows, inside, offsets = around(heat, xy, REFINE_REACH_PX)
    weights = windows * inside
    dx, dy = offsets.unbind(dim=1)
    total = weights.sum(dim=2).clamp_min(1e-12)
    shift = torch.stack([(weights * dx).sum(dim=2), (weights * dy).sum(dim=2)], dim=2) / total.unsqueeze(2)
    # A position that is NaN would be looked up outside the descriptor map, and break the device for good.
    return xy + shift.nan_to_num()


def around(
    heat: torch.Tensor, xy: torch.Tensor, reach: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values of a map around positions, S = (2 · reach + 1)² pixels each.

    Args:
        heat: `(B, H, W)`.
        xy: `(B, K, 2)`, whole pixels.
        reach: In pixels, in all four directions.

    Returns:
        `(B, K, S)` values, `(B, K, S) bool`, which of them lie inside the map (others repeat the edge), and
        `(S, 2)` offsets in x and y.
    """
    batch, height, width = heat.shape
    steps = torch.arange(-reach, reach + 1, device=heat.device)
    dy, dx = (grid.flatten() for grid in torch.meshgrid(steps, steps, indexing="ij"))
    x = xy[..., 0].long().unsqueeze(2) + dx
    y = xy[..., 1].long().unsqueeze(2) + dy
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    flat = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    values = heat.flatten(1).gather(1, flat.flatten(1)).view(batch, -1, len(dx))
    return values, inside, torch.stack([dx, dy], dim=1)


def sample_descriptors(
    descriptor_map: torch.Tensor, xy: torch.Tensor, grid: Literal["exact", "transformers"]
) -> torch.Tensor:
    """Interpolate unit descriptors bilinearly at the keypoints.

    The positions in the descriptor map are those of `settings.grid_scale`.

    Args:
        descriptor_map: `(B, h, w, D)`, not normalised.
        xy: `(B, K, 2) float32`, network pixels.
        grid: Which of the two formulas.

    Returns:
        `(B, K, D) float32`, unit length.
    """
    batch, rows, columns, dim = descriptor_map.shape
    left, part_x = _cells(xy[..., 0], columns, grid)
    top, part_y = _cells(xy[..., 1], rows, grid)
    right = min(1, columns - 1)
    down = columns * min(1, rows - 1)
    first = (top * columns + left).long()
    first = first + torch.arange(batch, device=xy.device).view(-1, 1) * (rows * columns)
    corners = torch.stack([first, first + right, first + down, first + down + right], dim=2)
    across = torch.stack([1 - part_x, part_x], dim=2)
    along = torch.stack([1 - part_y, part_y], dim=2)
    weights = (along.unsqueeze(3) * across.unsqueeze(2)).flatten(2)
    # Descriptors are contiguous in memory; only the sampled ones are normalised.
    found = descriptor_map.reshape(-1, dim).index_select(0, corners.flatten()).float().view(-1, 4, dim)
    weights = weights.view(-1, 4) / found.norm(dim=2).clamp_min(1e-12)
    sampled = torch.bmm(weights.unsqueeze(1), found).view(batch, -1, dim)
    return functional.normalize(sampled, dim=2)


def _cells(
    pixels: torch.Tensor, count: int, grid: Literal["exact", "transformers"]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Index of the cell before each position along one axis, and the fraction towards the next cell."""
    cells = ((pixels - 3.5) * grid_scale(count, grid)).clamp(0, count - 1)
    before = cells.floor().clamp(0, max(0, count - 2))
    return before, cells - before
