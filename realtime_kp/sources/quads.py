"""Rendering of textured quads with a depth buffer, and exact ray casting against the same quads."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

_SUPERSAMPLING = 2
_NEAR_M = 0.05
# Relative difference of depths of one and the same point.
SAME_DEPTH = 1e-3


@dataclass(frozen=True, slots=True)
class Quad:
    """A textured parallelogram in space: points `corner + s · right + t · down`, s and t in [0, 1].

    Attributes:
        corner: `(3,)`, metres.
        right: `(3,)`, metres.
        down: `(3,)`, metres.
        texture: `(h, w, 3) uint8`, BGR; its rows run along `right`.
    """

    corner: Float
    right: Float
    down: Float
    texture: NDArray[np.uint8]

    @property
    def frame(self) -> Float:
        """`(3, 3)`: columns right, down, corner, so that a point is `frame @ (s, t, 1)`."""
        return np.stack([self.right, self.down, self.corner], axis=1)


def inverse_projections(frames: Float, cameras: Float) -> Float:
    """Matrices from pixels to `(s, t, 1) / depth` on the plane of each quad.

    With a point `X = F (s, t, 1)` and a camera `z (x, y, 1) = C (X, 1)`, the plane is seen through the
    homography `H = C [F; 0 0 1]`, and `H⁻¹ (x, y, 1) = (s, t, 1) / z`.

    Args:
        frames: `(Q, 3, 3)`, as `Quad.frame`.
        cameras: `(R, 3, 4)`, projection matrices, one for each row or point.

    Returns:
        `(Q, R, 3, 3)`.
    """
    homogeneous = np.concatenate([frames, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(frames), 1, 3))], axis=1)
    return np.asarray(np.linalg.inv(cameras[None] @ homogeneous[:, None]))


def cast_rays(maps: Float, xy: Float) -> tuple[NDArray[np.intp], Float, Float]:
    """The nearest quad that each pixel shows.

    Args:
        maps: `(Q, N, 3, 3)`, from `inverse_projections`; `(Q, 1, 3, 3)` where all points share a camera.
        xy: `(N, 2)`, pixels.

    Returns:
        `(N,)` index of the quad, -1 where a ray meets none; `(N, 2)` s and t on it; `(N,)` inverse depth in
        1/m, 0 where there is none.
    """
    pixels = np.concatenate([xy, np.ones((len(xy), 1))], axis=1)
    if maps.shape[1] == 1:
        over_depth = np.matmul(maps[:, 0], pixels.T).transpose(0, 2, 1)
    else:
        over_depth = np.matmul(maps, pixels[None, :, :, None])[..., 0]
    inverse_depth = over_depth[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        st = over_depth[..., :2] / inverse_depth[..., None]
        met = (inverse_depth > 0) & (inverse_depth < 1 / _NEAR_M)
        met &= (st[..., 0] >= 0) & (st[..., 0] <= 1) & (st[..., 1] >= 0) & (st[..., 1] <= 1)
    inverse_depth = np.where(met, inverse_depth, 0)
    quad = inverse_depth.argmax(axis=0)
    points = np.arange(len(xy))
    nearest = inverse_depth[quad, points]
    return np.where(nearest > 0, quad, -1), st[quad, points], nearest


def render(quads: list[Quad], frames: Float, cameras: Float, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Render quads with a depth buffer and 2×2 supersampling.

    Args:
        quads: The quads, for their textures.
        frames: `(Q, 3, 3)`, where they are in this frame.
        cameras: `(2 · height, 3, 4)`, one for each supersampled row, or `(1, 3, 4)`, one for all.
        size_wh: Width and height in pixels.

    Returns:
        `(H, W, 3) uint8`, BGR; black where there is nothing.
    """
    width, height = (_SUPERSAMPLING * side for side in size_wh)
    image = np.zeros((height, width, 3), np.uint8)
    nearest = np.zeros((height, width), np.float32)
    maps = inverse_projections(frames, cameras)
    x = ((np.arange(width) + 0.5) / _SUPERSAMPLING - 0.5).astype(np.float32)
    y = (np.arange(height) + 0.5) / _SUPERSAMPLING - 0.5
    for quad, frame, matrix in zip(quads, frames, maps, strict=True):
        left, top, right, bottom = _bounds(frame, cameras, (width, height))
        if left >= right or top >= bottom:
            continue
        rows = matrix if len(matrix) == 1 else matrix[top:bottom]
        constant = (rows[:, :, 1] * y[top:bottom, None] + rows[:, :, 2]).astype(np.float32)
        s, t, depth = (
            constant[:, k, None] + rows[:, k, 0, None].astype(np.float32) * x[left:right] for k in range(3)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            s /= depth
            t /= depth
            shown = (depth > nearest[top:bottom, left:right]) & (depth < 1 / _NEAR_M)
            shown &= (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
        if not shown.any():
            continue
        texture_height, texture_width = quad.texture.shape[:2]
        colours = cv2.remap(
            quad.texture,
            s * np.float32(texture_width) - np.float32(0.5),
            t * np.float32(texture_height) - np.float32(0.5),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        nearest[top:bottom, left:right][shown] = depth[shown]
        image[top:bottom, left:right][shown] = colours[shown]
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _bounds(frame: Float, cameras: Float, size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a quad in supersampled pixels; all of them near the camera plane."""
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], np.float64) @ frame.T
    points = np.concatenate([corners, np.ones((4, 1))], axis=1)
    # The first and the last row bound the motion of the camera between them.
    projected = np.concatenate([points @ camera.T for camera in (cameras[0], cameras[-1])])
    if projected[:, 2].max() < _NEAR_M:
        return 0, 0, 0, 0
    if projected[:, 2].min() < _NEAR_M:
        return 0, 0, *size_wh
    xy = (projected[:, :2] / projected[:, 2:] + 0.5) * _SUPERSAMPLING
    left, top = np.clip(np.floor(xy.min(axis=0)) - 4, 0, size_wh).astype(int)
    right, bottom = np.clip(np.ceil(xy.max(axis=0)) + 4, 0, size_wh).astype(int)
    return int(left), int(top), int(right), int(bottom)
