"""Losses on the outputs of both heads."""

from __future__ import annotations

import torch
from torch.nn import functional

from realtime_kp.features.decode.torch_decoder import around, refine, sample_descriptors
from realtime_kp.training.detected_keypoints import DetectedPairs
from realtime_kp.training.views import Views

Tensor = torch.Tensor

CELL = 8
LABEL_SIGMA_PX = 0.6
MAX_POINTS = 250
_POSITIVE_WEIGHT = 2.0
_REACH_PX = 2
_MAX_GAP_PX = 2.0
_PEAK_REACH_PX = 3
# Denser than in inference: more keypoints to learn from.
FOUND_AREA_PX = 400
SAME_PX = 3.0


def detection_targets(xy: Tensor, mass: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """Target distribution of the soft-max of each cell.

    A label is a Gaussian of σ = 0.6 px around its sub-pixel position, which may extend over several cells;
    the remaining probability of a cell belongs to "no keypoint".

    Args:
        xy: `(B, L, 2)`, labels, pixels.
        mass: `(B, L)`, confidence of each label; 0 where the view does not show it.
        size_wh: Width and height of the view.

    Returns:
        `(B, 65, H/8, W/8) float32`, sums of 1 over the channels.
    """
    batch, labels = mass.shape
    width, height = size_wh
    steps = torch.arange(-_REACH_PX, _REACH_PX + 1, device=xy.device)
    dy, dx = (grid.flatten() for grid in torch.meshgrid(steps, steps, indexing="ij"))
    nearest = xy.round()
    offsets = torch.stack([dx, dy], dim=1)
    pixels = nearest.unsqueeze(2) + offsets
    gaps = ((pixels - xy.unsqueeze(2)) ** 2).sum(dim=3)
    weights = torch.exp(-gaps / (2 * LABEL_SIGMA_PX**2))
    weights = weights / weights.sum(dim=2, keepdim=True) * mass.unsqueeze(2)
    x, y = pixels[..., 0].long(), pixels[..., 1].long()
    weights = weights * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
    flat = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).view(batch, -1)
    heat = torch.zeros(batch, height * width, device=xy.device)
    heat.scatter_add_(1, flat, weights.view(batch, labels * len(offsets)))
    cells = functional.pixel_unshuffle(heat.view(batch, 1, height, width), CELL)
    mass = cells.sum(dim=1, keepdim=True)
    cells = cells / mass.clamp_min(1)
    return torch.cat([cells, 1 - mass.clamp_max(1)], dim=1)


def detection_loss(logits: Tensor, targets: Tensor, shown: Tensor) -> Tensor:
    """Cross entropy of the cells that lie on the tile; cells with a keypoint have twice the weight.

    Args:
        logits: `(B, 65, h, w)`.
        targets: `(B, 65, h, w)`.
        shown: `(B, 1, H, W) bool`, pixels that show the tile.
    """
    whole = functional.pixel_unshuffle(shown.float(), CELL).amin(dim=1)
    weight = whole * (1 + (_POSITIVE_WEIGHT - 1) * (1 - targets[:, -1]))
    entropy = -(targets * logits.float().log_softmax(dim=1)).sum(dim=1)
    return (entropy * weight).sum() / weight.sum().clamp_min(1)


def agreement_loss(heat: Tensor, views: Views) -> Tensor:
    """Mean distance between the positions of a keypoint in the two views, pixels of the second view.

    Positions are refined as in inference, by soft-argmax on the heat map, around each label that both views
    show. (Comparable: the location loss of Christiansen et al., UnsuperPoint, 2019, section 3.4.)

    Args:
        heat: `(2B, H, W)`, heat maps of the first views and then of the second ones.
        views: The B pairs.
    """
    places = refine(heat, _peaks(heat, views.xy.flatten(0, 1))).view_as(views.xy)
    there, seen = views.across(places[0])
    gaps = (there - places[1]).norm(dim=2).clamp_max(_MAX_GAP_PX)
    weight = views.visible.all(dim=0) * seen * views.mass
    mean: Tensor = (gaps * weight).sum() / weight.sum().clamp_min(1)
    return mean


def _peaks(heat: Tensor, xy: Tensor) -> Tensor:
    """The highest pixel within ±3 of each position, as non-maximum suppression would select it."""
    nearest = xy.round()
    windows, inside, offsets = around(heat.detach(), nearest, _PEAK_REACH_PX)
    return nearest + offsets[windows.masked_fill(~inside, -1).argmax(dim=2)]


def sample(descriptors: Tensor, xy: Tensor) -> Tensor:
    """Sample unit descriptors on the exact grid, `(x - 3.5) / 8` cells.

    Args:
        descriptors: `(B, D, h, w)`.
        xy: `(B, K, 2)`, pixels.

    Returns:
        `(B, K, D) float32`.
    """
    return sample_descriptors(descriptors.permute(0, 2, 3, 1), xy, "exact")


def choose_points(views: Views, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose up to 250 labels per pair that both views show.

    Returns:
        `(B, K)` columns of the labels, and `(B, K) bool`, which of them are valid.
    """
    both = views.visible.all(dim=0)
    order = torch.rand(both.shape, generator=generator).to(both.device).masked_fill(~both, -1)
    best, columns = order.topk(min(MAX_POINTS, both.shape[1]), dim=1)
    return columns, best > 0


def descriptor_loss(
    descriptors: Tensor, views: Views, log_temperature: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Symmetric InfoNCE of the points of each pair against the points of all pairs.

    Points less than a cell apart are not used as negatives. Points of other pairs act as negatives that only
    one of two images shows. (van den Oord et al., Contrastive Predictive Coding, 2018.)

    Args:
        descriptors: `(2, B, D, h, w)`.
        views: The pairs.
        log_temperature: Learned; the cosines are divided by its exponential.
        generator: Chooses the points.

    Returns:
        The loss, and the share of points whose nearest descriptor in all other views is their own.
    """
    columns, counts = choose_points(views, generator)
    index = columns.unsqueeze(2).expand(-1, -1, 2)
    places = [xy.gather(1, index) for xy in views.xy]
    first, second = (sample(descriptors[i], places[i]).flatten(0, 1) for i in (0, 1))
    cosines = first @ second.T / log_temperature.exp()
    cosines = cosines.masked_fill(~_comparable(places, counts), -1e4)
    target = torch.arange(len(cosines), device=cosines.device)
    losses = [
        functional.cross_entropy(table, target, reduction="none")
        for table in (cosines, cosines.T.contiguous())
    ]
    weight = counts.flatten().float()
    total = weight.sum().clamp_min(1)
    loss = (losses[0] + losses[1]) / 2
    right = (cosines.argmax(dim=1) == target) * weight
    return (loss * weight).sum() / total, right.sum() / total


def detected_descriptor_loss(
    found: DetectedPairs, descriptors: Tensor, log_temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """Symmetric InfoNCE on detected keypoints, at their detected positions.

    Unlike labels, these include keypoints that only one of two views has, as in matching, and pairs whose
    positions differ by a pixel or two.

    Args:
        found: The keypoints of B pairs of views; no gradient flows into them.
        descriptors: `(2, B, D, h, w)`.
        log_temperature: Learned; the cosines are divided by its exponential.

    Returns:
        The loss, and the share of keypoints detected in both views whose nearest descriptor is their own.
    """
    same, nearest = found.same(SAME_PX)
    rivals = _against_all(found.gaps_px >= CELL, *found.counts)
    first, second = (
        sample(one, xy).flatten(0, 1)
        for one, xy in zip(descriptors, (found.first, found.second), strict=True)
    )
    batch, points = nearest.shape
    start = points * torch.arange(batch, device=nearest.device).unsqueeze(1)
    rows, columns = same.flatten().nonzero().squeeze(1), (nearest + start)[same]
    rivals[rows, columns] = True
    cosines = (first @ second.T / log_temperature.exp()).masked_fill(~rivals, -1e4)
    loss = functional.cross_entropy(cosines[rows], columns, reduction="sum")
    loss = loss + functional.cross_entropy(cosines.T[columns], rows, reduction="sum")
    total = max(1, len(rows))
    right = (cosines[rows].argmax(dim=1) == columns).float().sum()
    return loss / (2 * total), right / total


def _comparable(places: list[Tensor], counts: Tensor) -> Tensor:
    """`(B * K, B * K) bool`: which pairs of a first and a second point are used, as positive or negative."""
    itself = torch.eye(counts.shape[1], dtype=torch.bool, device=counts.device)
    apart = torch.stack([(torch.cdist(xy, xy) >= CELL) | itself for xy in places]).all(dim=0)
    return _against_all(apart, counts, counts)


def _against_all(apart: Tensor, of_first: Tensor, of_second: Tensor) -> Tensor:
    """Extend masks of single pairs to all pairs of a batch.

    Args:
        apart: `(B, K, K) bool`, which points of one pair are used; those of different pairs always are.
        of_first: `(B, K) bool`, valid points of the first views.
        of_second: `(B, K) bool`, valid points of the second views.

    Returns:
        `(B * K, B * K) bool`.
    """
    batch, points = of_first.shape
    there = of_first.flatten().unsqueeze(1) & of_second.flatten().unsqueeze(0)
    table = there.view(batch, points, batch, points)
    own = torch.arange(batch, device=table.device)
    table[own, :, own, :] &= apart
    return table.flatten(2).flatten(0, 1)
