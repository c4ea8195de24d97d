"""How views get worse: light, blur and noise, and the low-pass filter before a view shrinks."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from realtime_kp.training.surfaces import apply

Tensor = torch.Tensor


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
    return filtered(grey, kernel)


def anti_aliasing_kernels(homographies: Tensor, size_wh: tuple[int, int]) -> Tensor:
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


def filtered(images: Tensor, kernels: Tensor) -> Tensor:
    """`(B, 1, H, W)`: each image filtered with its own kernel of `(B, K, K)`, normalised to a sum of 1."""
    kernels = (kernels / kernels.sum(dim=(1, 2), keepdim=True)).unsqueeze(1).to(images.device)
    reach = kernels.shape[-1] // 2
    padded = functional.pad(images, (reach,) * 4, mode="replicate").transpose(0, 1)
    return functional.conv2d(padded, kernels, groups=len(images)).transpose(0, 1)
