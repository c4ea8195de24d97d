"""Training pairs of generated rooms: two pictures of each, and the surfaces that both show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from realtime_kp.sources.room_pairs import room_pairs
from realtime_kp.training.images import Tiles


@dataclass(frozen=True, slots=True)
class RoomTiles:
    """Pairs of pictures of rooms, without labels.

    Attributes:
        images: `(R, 2, S, S) uint8`.
        planes: `(R, 2, Q, 3, 3) float64`, from pixels of each picture to the surfaces, as `surfaces.carried`
            takes them.
    """

    images: torch.Tensor
    planes: torch.Tensor

    def to(self, device: str) -> RoomTiles:
        """The same on a device."""
        return RoomTiles(self.images.to(device), self.planes.to(device))


def room_tiles(
    tiles: Tiles, count: int, seed: int, progress: Callable[[int], None] = lambda done: None
) -> RoomTiles:
    """Generate rooms whose textures are tiles, and two pictures of each, as large as the tiles.

    Args:
        tiles: `(N, S, S) uint8`.
        count: R, number of rooms.
        seed: Seed of rooms and cameras.
        progress: Called with the number of rooms done.
    """
    # Views: three channels of all tiles would take three times their memory.
    pictures = [np.broadcast_to(tile[:, :, np.newaxis], (*tile.shape, 3)) for tile in tiles]
    images, planes = [], []
    for pair in room_pairs(pictures, count, (tiles.shape[2], tiles.shape[1]), seed):
        images.append(np.stack([pair.first[..., 0], pair.second[..., 0]]))
        planes.append(pair.planes)
        progress(len(images))
    return RoomTiles(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(planes)))
