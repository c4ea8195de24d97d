from __future__ import annotations

import torch

from realtime_kp.training.surfaces import single_surface
from realtime_kp.training.views import Views


def moved_views(shift_px: float, shown: bool = True) -> Views:
    """One pair of empty views of 160 × 120 pixels, the second that many pixels further right."""
    moved = torch.eye(3, dtype=torch.float64)
    moved[0, 2] = -shift_px
    picture = single_surface(400)
    return Views(
        torch.zeros(2, 1, 1, 120, 160),
        torch.zeros(2, 1, 1, 120, 160),
        torch.full((2, 1, 1, 120, 160), shown),
        torch.zeros(2, 1, 1, 2),
        torch.zeros(2, 1, 1, dtype=torch.bool),
        torch.zeros(1, 1),
        torch.stack([picture, picture @ moved]).view(2, 1, 1, 3, 3),
    )
