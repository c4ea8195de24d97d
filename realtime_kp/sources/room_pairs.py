"""Pairs of pictures of one generated room from different places, with the exact geometry between them.

As between two photographs of a real place, distance, direction, roll and focal length change, what is hidden
behind what, and which part of the room is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.sources.quads import SAME_DEPTH, Float, cast_rays, inverse_projections, render
from realtime_kp.sources.room_parts import Textures, boxes, cameras, walls

_FOCAL = 0.9  # of the width
_FOCAL_SIGMA = 0.1
_ROLL_SIGMA_DEG = 25.0
_AIM_SIGMA_M = 0.35
# Where cameras stand and what they look at: x, y and z, from and to.
_STANDS_M = ((-2.2, -0.9, -2.0), (2.2, 0.8, 3.6))
_LOOKS_AT_M = ((-2.5, -1.0, 4.5), (2.5, 1.2, 8.0))
_PICTURES_A_ROOM = 24
_LEAST_IN_COMMON = 0.25
_COMPARED_EVERY_PX = 24


@dataclass(frozen=True, slots=True)
class RoomPair:
    """Two pictures of a room.

    Attributes:
        first: `(H, W, 3) uint8`, BGR.
        second: The same.
        planes: `(2, Q, 3, 3)`: from pixels of the first and of the second picture to each surface, as
            `inverse_projections` has them.
    """

    first: NDArray[np.uint8]
    second: NDArray[np.uint8]
    planes: Float

    def truth(self, xy: NDArray[np.float32]) -> tuple[Float, NDArray[np.bool_]]:
        """Where the second picture shows what the first shows at `(N, 2)`, and `(N,)` whether it does."""
        return _truth(self.planes[0], self.planes[1], xy.astype(np.float64), _size_wh(self.second))

    def truth_back(self, xy: NDArray[np.float32]) -> tuple[Float, NDArray[np.bool_]]:
        """The same from the second picture to the first."""
        return _truth(self.planes[1], self.planes[0], xy.astype(np.float64), _size_wh(self.first))


def room_pairs(
    pictures_bgr: Sequence[NDArray[np.uint8]], count: int, size_wh: tuple[int, int], seed: int
) -> Iterator[RoomPair]:
    """Generate pairs, each of a room of its own.

    Args:
        pictures_bgr: Photographs for the textures, of which each room has some; none uses procedural
            pictures.
        count: Number of pairs.
        size_wh: Width and height of the pictures.
        seed: Seed of rooms and cameras.
    """
    for number in range(count):
        rng = np.random.default_rng((seed, number, 17))
        chosen = min(_PICTURES_A_ROOM, len(pictures_bgr))
        numbers = rng.permutation(len(pictures_bgr))[:chosen].tolist()
        textures = Textures(int(rng.integers(1 << 30)), [pictures_bgr[i] for i in numbers])
        quads = [*walls(textures), *boxes(rng, textures)]
        frames = np.stack([quad.frame for quad in quads])
        two, planes = _two_cameras(frames, size_wh, rng)
        first, second = (render(quads, frames, camera, size_wh) for camera in two)
        yield RoomPair(first, second, planes)


def _two_cameras(
    frames: Float, size_wh: tuple[int, int], rng: np.random.Generator
) -> tuple[list[Float], Float]:
    """Two cameras that have at least a quarter of their pictures in common, and the planes of both."""
    width, height = size_wh
    x, y = np.meshgrid(
        np.arange(_COMPARED_EVERY_PX / 2, width, _COMPARED_EVERY_PX),
        np.arange(_COMPARED_EVERY_PX / 2, height, _COMPARED_EVERY_PX),
    )
    compared = np.stack([x.ravel(), y.ravel()], axis=1)
    while True:
        target = rng.uniform(*_LOOKS_AT_M)
        two = [_camera(target, size_wh, rng) for _ in range(2)]
        planes = np.stack([inverse_projections(frames, camera)[:, 0] for camera in two])
        there = _truth(planes[0], planes[1], compared, size_wh)[1].mean()
        back = _truth(planes[1], planes[0], compared, size_wh)[1].mean()
        if min(there, back) >= _LEAST_IN_COMMON:
            return two, planes


def _camera(target: Float, size_wh: tuple[int, int], rng: np.random.Generator) -> Float:
    """`(1, 3, 4)`: the projection matrix of a camera somewhere in the room that looks towards a place."""
    place = rng.uniform(*_STANDS_M)
    x, y, z = target + rng.normal(0, _AIM_SIGMA_M, 3) - place
    roll = np.deg2rad(rng.normal(0, _ROLL_SIGMA_DEG))
    angles = np.array([[np.arctan2(x, z), -np.arctan2(y, np.hypot(x, z)), roll]])
    focal = _FOCAL * float(np.exp(rng.normal(0, _FOCAL_SIGMA)))
    return cameras(place[None], angles, focal, size_wh)


def _truth(
    planes: Float, other: Float, xy: Float, size_wh: tuple[int, int]
) -> tuple[Float, NDArray[np.bool_]]:
    """Positions in the other picture, and whether each lies on a surface, inside, and in front there."""
    quad, st, _ = cast_rays(planes[:, None], xy)
    to_pixels = np.linalg.inv(other[np.maximum(quad, 0)])
    moved = np.einsum("nij,nj->ni", to_pixels, np.column_stack([st, np.ones(len(st))]))
    depth = np.where(np.abs(moved[:, 2]) < 1e-6, 1e-6, moved[:, 2])
    there = moved[:, :2] / depth[:, None]
    inside = (depth > 0) & ((there >= 0) & (there <= np.array(size_wh) - 1)).all(axis=1) & (quad >= 0)
    asked = np.where(inside[:, None], there, 0.0)
    _, _, nearest = cast_rays(other[:, None], asked)
    return np.where(inside[:, None], there, 0.0), np.asarray(inside & (nearest * depth <= 1 + SAME_DEPTH))


def _size_wh(image: NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[1], image.shape[0]
