"""Pairs of random views of tiles, with the labels in both, as tensors on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn import functional

from realtime_kp.training.degradation import anti_aliasing_kernels, change_light, filtered
from realtime_kp.training.rooms import RoomTiles
from realtime_kp.training.surfaces import apply, carried, single_surface

Tensor = torch.Tensor

FAR_ZOOM, FARTHER_ZOOM = 0.6, 0.8


@dataclass(frozen=True, slots=True)
class TileSet:
    """Tiles and their labels on the device of the training.

    Attributes:
        images: `(N, S, S) uint8`.
        xy: `(N, L, 2) float32`, labels, pixels of the tile.
        mass: `(N, L) float32`, confidence of each label, 0 to 1; 0 marks unused entries.
        rooms: Further pairs to learn from; None without any.
    """

    images: Tensor
    xy: Tensor
    mass: Tensor
    rooms: RoomTiles | None = None


@dataclass(frozen=True, slots=True)
class Views:
    """B pairs of views.

    Attributes:
        grey: `(2, B, 1, H, W) float32`, 0 to 1.
        clean: The same before light, blur and noise were changed.
        shown: `(2, B, 1, H, W) bool`, pixels that show the picture.
        xy: `(2, B, L, 2) float32`, the same labels in both views, pixels.
        visible: `(2, B, L) bool`, valid labels well inside the view and the tile.
        mass: `(B, L) float32`, confidence of each label, 0 to 1.
        planes: `(2, B, Q, 3, 3) float64`, from pixels of each view to the surfaces, as `surfaces.carried`
            takes them.
    """

    grey: Tensor
    clean: Tensor
    shown: Tensor
    xy: Tensor
    visible: Tensor
    mass: Tensor
    planes: Tensor

    def across(self, xy: Tensor) -> tuple[Tensor, Tensor]:
        """Places `(B, K, 2)` of the first views in the second ones, and `(B, K)`, whether they are seen."""
        return carried(self.planes[0], self.planes[1], xy)

    def back(self, xy: Tensor) -> tuple[Tensor, Tensor]:
        """Places of the second views in the first ones, and whether they are seen."""
        return carried(self.planes[1], self.planes[0], xy)


def make_views(
    tiles: TileSet,
    batch: int,
    size_wh: tuple[int, int],
    generator: torch.Generator,
    far_zoom: float = FAR_ZOOM,
) -> Views:
    """Draw random tiles and render two views of each.

    Each tile and each room is equally likely. The two pictures of a room are far apart already: each
    is turned, scaled and tilted a little. In a third of the other pairs the second view is as near to the
    first as two frames of a video. In the rest it is rotated (σ = 30°), scaled by 0.37 to 2.7, compressed
    along one direction to no less than 0.35, as a plane seen from 70°, and tilted. The two views differ in
    light, blur and noise. A low-pass filter before downscaling prevents aliasing, which no camera would show.

    Args:
        tiles: Images and labels.
        batch: B.
        size_wh: Width and height of the views.
        generator: Source of all randomness, on the CPU whatever the device. Equal seeds give equal views on
            one kind of device; the noise differs between kinds.
        far_zoom: Standard deviation of the logarithm of the scale of far views.
    """
    device, side = tiles.images.device, tiles.images.shape[1]
    count = len(tiles.images)
    chosen = torch.randint(count + _rooms(tiles), (batch,), generator=generator)
    in_room = chosen >= count
    homographies = _homographies_of_pairs(in_room, side, size_wh, generator, far_zoom)
    chosen, in_room = chosen.to(device), in_room.to(device)
    flat = chosen.clamp_max(count - 1)
    labels, mass = tiles.xy[flat], tiles.mass[flat].masked_fill(in_room.unsqueeze(1), 0)
    grey, clean, shown, places, visible = [], [], [], [], []
    for images, homography in zip(_pictures(tiles, chosen), homographies, strict=True):
        softened = filtered(images, anti_aliasing_kernels(homography, size_wh))
        homography = homography.to(device)
        view, on_tile = _warp(softened, homography, size_wh)
        clean.append(view)
        grey.append(change_light(view, generator))
        shown.append(on_tile)
        xy = apply(homography, labels)
        places.append(xy)
        visible.append((mass > 0) & _inside(xy, size_wh, 4))
    return Views(
        torch.stack(grey),
        torch.stack(clean),
        torch.stack(shown),
        torch.stack(places),
        torch.stack(visible),
        mass,
        _planes(tiles, chosen) @ torch.linalg.inv(homographies.to(device).double()).unsqueeze(2),
    )


def _homographies_of_pairs(
    in_room: Tensor, side: int, size_wh: tuple[int, int], generator: torch.Generator, far_zoom: float
) -> Tensor:
    """`(2, B, 3, 3)`: from the picture of each view to the view; `in_room`: `(B,) bool`, on the CPU."""
    batch = len(in_room)
    draw = partial(_random_homographies, batch, generator=generator, size_wh=size_wh)
    from_picture = partial(draw, side, angle_deg=15, zoom=0.25, bend=0.06)
    first = from_picture()
    near = torch.arange(batch) % 3 == 0
    small = draw(size_wh, angle_deg=3, zoom=0.06, bend=0.02)
    large = draw(size_wh, angle_deg=30, zoom=far_zoom, bend=0.2, squeeze=0.35)
    second = torch.where(near.view(-1, 1, 1), small, large) @ first
    if bool(in_room.any()):
        second = torch.where(in_room.view(-1, 1, 1), from_picture(), second)
    return torch.stack([first, second])


def _rooms(tiles: TileSet) -> int:
    return 0 if tiles.rooms is None else len(tiles.rooms.images)


def _pictures(tiles: TileSet, chosen: Tensor) -> Tensor:
    """`(2, B, 1, S, S)`, 0 to 1: the picture of each view; numbers beyond the tiles are those of rooms."""
    count = len(tiles.images)
    pictures = tiles.images[chosen.clamp_max(count - 1)].expand(2, -1, -1, -1)
    if tiles.rooms is not None:
        of_rooms = tiles.rooms.images[(chosen - count).clamp_min(0)].transpose(0, 1)
        pictures = torch.where((chosen >= count).view(1, -1, 1, 1), of_rooms, pictures)
    return pictures.float().unsqueeze(2) / 255


def _planes(tiles: TileSet, chosen: Tensor) -> Tensor:
    """`(2, B, Q, 3, 3)`: from pixels of the picture of each view to the surfaces that it shows."""
    count, batch = len(tiles.images), len(chosen)
    flat = single_surface(tiles.images.shape[1]).to(chosen.device).expand(2, batch, 1, 3, 3)
    if tiles.rooms is None:
        return flat
    of_rooms = tiles.rooms.planes[(chosen - count).clamp_min(0)].transpose(0, 1)
    # No ray meets a surface of negative depth.
    behind = torch.diag(torch.tensor([1.0, 1, -1], dtype=torch.float64, device=chosen.device))
    padded = torch.cat([flat, behind.expand(2, batch, of_rooms.shape[2] - 1, 3, 3)], dim=2)
    return torch.where((chosen >= count).view(1, -1, 1, 1, 1), of_rooms, padded)


def _random_homographies(
    batch: int,
    source: int | tuple[int, int],
    size_wh: tuple[int, int],
    generator: torch.Generator,
    *,
    angle_deg: float,
    zoom: float,
    bend: float,
    squeeze: float = 1.0,
) -> Tensor:
    """`(B, 3, 3)`: random homographies from a source (square tile or view) to a view, centre to centre."""
    from_wh = (source, source) if isinstance(source, int) else source

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    angle = normal() * math.radians(angle_deg)
    scale = torch.exp((normal() * zoom).clamp(-1, 1))
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    to_middle = torch.tensor([(side - 1) / 2 for side in size_wh])
    shift = to_middle + normal(2) * bend * torch.tensor(size_wh)
    matrix = torch.zeros(batch, 3, 3)
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cos, -sin, sin, cos
    matrix[:, :2, 2], matrix[:, 2, 2] = shift, 1
    # A perspective of about b / width moves a corner of the view by a share b of its width.
    tilt = torch.eye(3).repeat(batch, 1, 1)
    tilt[:, 2, :2] = (normal(2) * bend / max(from_wh)).clamp(-1.2e-3, 1.2e-3)
    tilt[:, 0, 1] = normal() * bend
    centre = torch.eye(3)
    centre[0, 2], centre[1, 2] = -(from_wh[0] - 1) / 2, -(from_wh[1] - 1) / 2
    return matrix @ _squeeze(batch, squeeze, generator) @ tilt @ centre


def _squeeze(batch: int, least: float, generator: torch.Generator) -> Tensor:
    """`(B, 3, 3)`: compression along a random direction, by a factor of `least` to 1."""
    angle = torch.rand(batch, generator=generator) * math.pi
    shorter = (1 - least) * torch.rand(batch, 1, 1, generator=generator)
    direction = torch.stack([torch.cos(angle), torch.sin(angle), torch.zeros(batch)], dim=1)
    return torch.eye(3) - shorter * direction.unsqueeze(2) * direction.unsqueeze(1)


def _warp(images: Tensor, homographies: Tensor, size_wh: tuple[int, int]) -> tuple[Tensor, Tensor]:
    width, height = size_wh
    side = images.shape[-1]
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32), indexing="ij"
    )
    pixels = torch.stack([x, y], -1).reshape(1, -1, 2).to(images.device).expand(len(images), -1, 2)
    source = apply(torch.linalg.inv(homographies), pixels).view(-1, height, width, 2)
    shown = ((source >= 0) & (source <= side - 1)).all(dim=3).unsqueeze(1)
    grid = (source + 0.5) * (2 / side) - 1
    grid = grid.clamp(-3, 3)
    return (
        functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False),
        shown,
    )


def _inside(xy: Tensor, size_wh: tuple[int, int], margin_px: float) -> Tensor:
    far = torch.tensor(size_wh, device=xy.device) - 1 - margin_px
    return ((xy >= margin_px) & (xy <= far)).all(dim=-1)
