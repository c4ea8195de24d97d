"""Pairs of random views of tiles, with the labels in both, as tensors on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

Tensor = torch.Tensor

FAR_ZOOM, FARTHER_ZOOM = 0.6, 0.8


@dataclass(frozen=True, slots=True)
class TileSet:
    """Tiles and their labels on the device of the training.

    Attributes:
        images: `(N, S, S) uint8`.
        xy: `(N, L, 2) float32`, labels, pixels of the tile.
        mass: `(N, L) float32`, confidence of each label, 0 to 1; 0 marks unused entries.
    """

    images: Tensor
    xy: Tensor
    mass: Tensor


@dataclass(frozen=True, slots=True)
class Views:
    """B pairs of views.

    Attributes:
        grey: `(2, B, 1, H, W) float32`, 0 to 1.
        clean: The same before light, blur and noise were changed.
        shown: `(2, B, 1, H, W) bool`, pixels that show the tile.
        xy: `(2, B, L, 2) float32`, the same labels in both views, pixels.
        visible: `(2, B, L) bool`, valid labels well inside the view and the tile.
        mass: `(B, L) float32`, confidence of each label, 0 to 1.
        homographies: `(2, B, 3, 3) float32`, from the tile to the view.
    """

    grey: Tensor
    clean: Tensor
    shown: Tensor
    xy: Tensor
    visible: Tensor
    mass: Tensor
    homographies: Tensor

    def across(self) -> Tensor:
        """`(B, 3, 3)`: homographies from the first to the second view of each pair."""
        matrices: Tensor = self.homographies[1] @ torch.linalg.inv(self.homographies[0])
        return matrices


def make_views(
    tiles: TileSet,
    batch: int,
    size_wh: tuple[int, int],
    generator: torch.Generator,
    far_zoom: float = FAR_ZOOM,
) -> Views:
    """Draw random tiles and render two views of each.

    In a third of the pairs the second view is as near to the first as two frames of a video. In the others it
    is rotated (σ = 30°), scaled by 0.37 to 2.7, compressed along one direction to no less than 0.35, as a
    plane seen from 70°, and tilted. The two views differ in light, blur and noise. A low-pass filter before
    downscaling prevents aliasing, which no camera would show.

    Args:
        tiles: Images and labels.
        batch: B.
        size_wh: Width and height of the views.
        generator: Source of all randomness, on the CPU whatever the device. Equal seeds give equal views on
            one kind of device; the noise differs between kinds.
        far_zoom: Standard deviation of the logarithm of the scale of far views.
    """
    device, side = tiles.images.device, tiles.images.shape[1]
    chosen = torch.randint(len(tiles.images), (batch,), generator=generator).to(device)
    first = _random_homographies(batch, side, size_wh, generator, angle_deg=15, zoom=0.25, bend=0.06)
    near = torch.arange(batch) % 3 == 0
    small = _random_homographies(batch, size_wh, size_wh, generator, angle_deg=3, zoom=0.06, bend=0.02)
    large = _random_homographies(
        batch, size_wh, size_wh, generator, angle_deg=30, zoom=far_zoom, bend=0.2, squeeze=0.35
    )
    second = torch.where(near.view(-1, 1, 1), small, large) @ first
    homographies = torch.stack([first, second])
    images = tiles.images[chosen].float().unsqueeze(1) / 255
    labels, mass = tiles.xy[chosen], tiles.mass[chosen]
    grey, clean, shown, places, visible = [], [], [], [], []
    for homography in homographies:
        softened = _filtered(images, _anti_aliasing_kernels(homography, size_wh))
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
        homographies.to(device),
    )


def apply(homographies: Tensor, xy: Tensor) -> Tensor:
    """Map positions `(B, L, 2)` by homographies `(B, 3, 3)`."""
    mapped = xy @ homographies[:, :, :2].transpose(1, 2) + homographies[:, None, :, 2]
    return mapped[..., :2] / mapped[..., 2:].clamp_min(1e-3)


def change_light(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Random gamma, gain, offset, shading, blur (isotropic or along a line) and noise for each image.

    Args:
        grey: `(B, 1, H, W)`, 0 to 1.
        generator: On the CPU.
    """
    batch, _, height, width = grey.shape

    def normal(sigma: float) -> Tensor:
        return (torch.randn(batch, 1, 1, 1, generator=generator) * sigma).to(grey.device)

    changed = grey.clamp(1e-4, 1) ** torch.exp(normal(0.25))
    changed = (changed - 0.5) * torch.exp(normal(0.2)) + 0.5 + normal(0.05)
    shade = torch.randn(batch, 1, 3, 3, generator=generator).to(grey.device)
    shade = functional.interpolate(shade, (height, width), mode="bicubic", align_corners=True)
    changed = changed * torch.exp(
        0.25 * torch.rand(batch, 1, 1, 1, generator=generator).to(grey.device) * shade
    )
    changed = _blur(changed, generator)
    sigma = 0.03 * torch.rand(batch, 1, 1, 1, generator=generator)
    noise = torch.randn(grey.shape, generator=_generator_on(grey, generator), device=grey.device)
    return (changed + noise * sigma.to(grey.device)).clamp(0, 1)


def _generator_on(images: Tensor, generator: torch.Generator) -> torch.Generator:
    """A generator on the device of the images: drawing one number per pixel on the CPU would stall a GPU."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.Generator(images.device).manual_seed(seed)


def _blur(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Blur each image with its own kernel: almost none, isotropic, or along a line."""
    batch = len(grey)
    x, y = _kernel_samples().unbind(dim=2)
    angle = torch.rand(batch, 1, 1, generator=generator) * math.pi
    along = x * torch.cos(angle) + y * torch.sin(angle)
    across = -x * torch.sin(angle) + y * torch.cos(angle)
    kind = torch.rand(batch, 1, 1, generator=generator)
    sigma = 0.25 + 1.1 * torch.rand(batch, 1, 1, generator=generator)
    length = torch.where(kind > 0.8, 1 + 2 * torch.rand(batch, 1, 1, generator=generator), sigma)
    sharp = torch.where(kind < 0.4, torch.full_like(sigma, 0.25), sigma)
    length = torch.where(kind < 0.4, sharp, length)
    across_sigma = torch.where(kind > 0.8, torch.full_like(sigma, 0.4), sharp)
    kernel = torch.exp(-0.5 * ((along / length) ** 2 + (across / across_sigma) ** 2))
    return _filtered(grey, kernel)


def _anti_aliasing_kernels(homographies: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """Anti-aliasing kernels: Gaussians that remove what a view is too coarse to show.

    A pixel of the view integrates like a Gaussian of σ = 0.5 px, which is an ellipse on the tile, whose own
    pixels have σ = 0.5 px already. The homography is linearised at the centre of the view.

    Args:
        homographies: `(B, 3, 3)`, from the tile to the view, on the CPU, which is fast with small matrices.
        size_wh: Width and height of the view.

    Returns:
        `(B, K, K)`.
    """
    middle = torch.tensor([(side - 1) / 2 for side in size_wh])
    three = torch.stack([middle, middle + torch.tensor([1.0, 0.0]), middle + torch.tensor([0.0, 1.0])])
    source = apply(torch.linalg.inv(homographies), three.expand(len(homographies), -1, -1))
    steps = (source[:, 1:] - source[:, :1]).transpose(1, 2)
    squared_lengths, directions = torch.linalg.eigh(steps @ steps.transpose(1, 2))
    variance = 0.25 * (squared_lengths - 1).clamp(0, 40)
    # A diagonal ellipse thinner than this would fall between the samples of the kernel.
    variance = variance + 0.05 + 0.1 * variance[:, 1:].clamp(max=1)
    along = torch.einsum("hwc,bck->bhwk", _kernel_samples(), directions)
    return torch.exp(-0.5 * (along**2 / variance[:, None, None]).sum(dim=3))


def _kernel_samples() -> Tensor:
    """`(9, 9, 2)`: x and y of the kernel samples relative to its centre."""
    steps = torch.arange(-4, 5, dtype=torch.float32)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], dim=2)


def _filtered(images: Tensor, kernels: Tensor) -> Tensor:
    """`(B, 1, H, W)`: each image filtered with its own kernel of `(B, K, K)`, normalised to a sum of 1."""
    kernels = (kernels / kernels.sum(dim=(1, 2), keepdim=True)).unsqueeze(1).to(images.device)
    reach = kernels.shape[-1] // 2
    padded = functional.pad(images, (reach,) * 4, mode="replicate").transpose(0, 1)
    return functional.conv2d(padded, kernels, groups=len(images)).transpose(0, 1)


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
