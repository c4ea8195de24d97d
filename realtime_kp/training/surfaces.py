"""Where one view shows what another shows, over the flat surfaces that both see.

A picture is a single surface; a generated room has many, and shows at each place the nearest one.
"""

from __future__ import annotations

import torch

from realtime_kp.sources.quads import SAME_DEPTH

Tensor = torch.Tensor


def apply(homographies: Tensor, xy: Tensor) -> Tensor:
    """Map positions `(B, L, 2)` by homographies `(B, 3, 3)`."""
    mapped = xy @ homographies[:, :, :2].transpose(1, 2) + homographies[:, None, :, 2]
    return mapped[..., :2] / mapped[..., 2:].clamp_min(1e-3)


def single_surface(side: int) -> Tensor:
    """`(3, 3)`: from the pixels of a square picture to its surface, the unit square at depth 1."""
    return torch.tensor(
        [[1 / side, 0, 0.5 / side], [0, 1 / side, 0.5 / side], [0, 0, 1]], dtype=torch.float64
    )


def carried(here: Tensor, there: Tensor, xy: Tensor) -> tuple[Tensor, Tensor]:
    """Positions in other views of what B views show.

    Args:
        here: `(B, Q, 3, 3) float64`, from pixels `(x, y, 1)` of each view to `(s, t, 1) / depth` on each
            surface, which extends from 0 to 1 in s and t.
        there: The same for the other views.
        xy: `(B, K, 2)`, pixels.

    Returns:
        `(B, K, 2) float32`, pixels of the other views, and `(B, K) bool`: whether the position lies on a
        surface that the other view does not show behind another one. It may lie outside the other view.
    """
    surface, st = _nearest(here, xy.double())[:2]
    index = surface.clamp_min(0).view(*surface.shape, 1, 1).expand(-1, -1, 3, 3)
    to_pixels = torch.linalg.inv(there).gather(1, index)
    moved = (to_pixels @ torch.cat([st, torch.ones_like(st[..., :1])], dim=2).unsqueeze(3)).squeeze(3)
    depth = moved[..., 2]
    places = moved[..., :2] / depth.clamp_min(1e-3).unsqueeze(2)
    _, _, nearest = _nearest(there, places.detach())
    seen = (surface >= 0) & (depth > 1e-3) & (nearest * depth <= 1 + SAME_DEPTH)
    return places.float(), seen


def _nearest(planes: Tensor, xy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest surface at each position, -1 for none; s and t on it; its inverse depth."""
    over_depth = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=2).unsqueeze(1) @ planes.transpose(2, 3)
    inverse_depth = over_depth[..., 2]
    st = over_depth[..., :2] / inverse_depth.clamp_min(1e-9).unsqueeze(3)
    met = (inverse_depth > 1e-9) & ((st >= 0) & (st <= 1)).all(dim=3)
    nearest, surface = inverse_depth.masked_fill(~met, 0).max(dim=1)
    chosen = st.gather(1, surface.view(len(st), 1, -1, 1).expand(-1, 1, -1, 2)).squeeze(1)
    return torch.where(nearest > 0, surface, -1), chosen, nearest
