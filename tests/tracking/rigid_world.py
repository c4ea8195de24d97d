"""Points in space seen by a pinhole camera: exact positions, depths and slopes to compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FOCAL_PX = 576.0
CENTRE = np.array([319.5, 239.5])
INTRINSICS = np.array([[FOCAL_PX, 0, CENTRE[0]], [0, FOCAL_PX, CENTRE[1]], [0, 0, 1]])


@dataclass(frozen=True)
class Camera:
    """Position in metres, yaw in degrees."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw_deg: float = 0.0

    def see(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(N, 2)` pixels and `(N,)` depths of `(N, 3)` points."""
        angle = np.deg2rad(self.yaw_deg)
        turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
        local = (points - (self.x, self.y, self.z)) @ turn.T
        projected = local @ INTRINSICS.T
        return (projected[:, :2] / projected[:, 2:]).astype(np.float32), local[:, 2]


def cloud(count: int = 300, seed: int = 0) -> np.ndarray:
    """Points 3 to 8 m ahead, within the view of a camera at the origin."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(3, 8, count)
    pixels = rng.uniform((20, 20), (620, 460), (count, 2))
    return np.c_[(pixels - CENTRE) / FOCAL_PX * depth[:, None], depth]


def wall(pixels: np.ndarray, depth: float = 4.0, slant: float = 0.5) -> np.ndarray:
    """Points at pixels of the first camera on a wall that recedes to the right by `slant` metres a metre."""
    rays = np.c_[(pixels - CENTRE) / FOCAL_PX, np.ones(len(pixels))]
    return rays * (depth / (1 - slant * rays[:, :1]))
