"""The parts of a generated room: textured walls and boxes; x points right, y down, z forward, in metres."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.sources.procedural import procedural_picture
from realtime_kp.sources.quads import Float, Quad

FLOOR_M = 1.4
_TEXELS_PER_M = 180
_HALF_WIDTH_M, _CEILING_M, _BACK_M, _FRONT_M = 3.2, -1.6, 8.0, -3.0
_BOXES = 7
_PANEL_TEXELS = 270  # 1.5 m


class Textures:
    """Textures of any size.

    Args:
        seed: Equal seeds give equal textures.
        pictures_bgr: Photographs of `(H, W, 3) uint8` that they are cut from, side by side where there
            are several; none uses procedural pictures.
    """

    def __init__(self, seed: int, pictures_bgr: Sequence[NDArray[np.uint8]] = ()) -> None:
        self._rng = np.random.default_rng((seed, 11))
        self._pictures = pictures_bgr

    def of_size(self, width_m: float, height_m: float) -> NDArray[np.uint8]:
        """A texture for a surface of this size in metres."""
        size = (max(8, round(width_m * _TEXELS_PER_M)), max(8, round(height_m * _TEXELS_PER_M)))
        if not len(self._pictures):
            picture = procedural_picture(size, int(self._rng.integers(1 << 30)))
            grain = cv2.GaussianBlur(self._rng.standard_normal(size[::-1]), (0, 0), 2.5)
            grained = picture + 14 / grain.std() * grain[..., None]
            return np.asarray(np.clip(grained, 0, 255), np.uint8)
        if len(self._pictures) == 1:
            return self._cut(self._pictures[0], size)
        return self._panels(size)

    def _panels(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Photographs side by side."""
        texture = np.empty((size[1], size[0], 3), np.uint8)
        for top, bottom in _parts(size[1]):
            for left, right in _parts(size[0]):
                photograph = self._pictures[int(self._rng.integers(len(self._pictures)))]
                texture[top:bottom, left:right] = self._cut(photograph, (right - left, bottom - top))
        return texture

    def _cut(self, photograph: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """A random part of a photograph, enlarged or made smaller to a width and height."""
        rows, columns = photograph.shape[:2]
        scale = max(size[0] / columns, size[1] / rows) * float(self._rng.uniform(1, 1.6))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        large = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=method)
        left = int(self._rng.integers(large.shape[1] - size[0] + 1))
        top = int(self._rng.integers(large.shape[0] - size[1] + 1))
        return np.asarray(large[top : top + size[1], left : left + size[0]], np.uint8)


def _parts(side: int) -> list[tuple[int, int]]:
    """Starts and ends of equal parts of a side of a texture, none longer than a panel."""
    bounds = np.linspace(0, side, 1 + -(-side // _PANEL_TEXELS)).round().astype(int).tolist()
    return list(pairwise(bounds))


def walls(textures: Textures) -> list[Quad]:
    """Back wall, side walls, floor and ceiling."""
    w, top, bottom, front, back = _HALF_WIDTH_M, _CEILING_M, FLOOR_M, _FRONT_M, _BACK_M
    sides = [
        ((-w, top, back), (2 * w, 0, 0), (0, bottom - top, 0)),
        ((-w, top, front), (0, 0, back - front), (0, bottom - top, 0)),
        ((w, top, back), (0, 0, front - back), (0, bottom - top, 0)),
        ((-w, bottom, back), (2 * w, 0, 0), (0, 0, front - back)),
        ((-w, top, front), (2 * w, 0, 0), (0, 0, back - front)),
    ]
    return [_quad(np.array(a, float), np.array(b, float), np.array(c, float), textures) for a, b, c in sides]


def boxes(rng: np.random.Generator, textures: Textures) -> list[Quad]:
    """Seven turned boxes on the floor, none in the way of the camera."""
    quads: list[Quad] = []
    placed: list[Float] = []
    while len(placed) < _BOXES:
        place = np.array([rng.uniform(-2.4, 2.4), rng.uniform(4.3, 7.0)])
        apart = all(np.linalg.norm(place - other) > 1.0 for other in placed)
        if not apart or (abs(place[0]) < 0.7 and place[1] < 5.2):
            continue
        placed.append(place)
        size = np.array([rng.uniform(0.5, 0.9), rng.uniform(0.6, 1.8), rng.uniform(0.5, 0.9)])
        corner = np.array([place[0], FLOOR_M - size[1], place[1]])
        quads += box(corner, size, float(rng.uniform(0, np.pi / 2)), textures)
    return quads


def box(centre_top: Float, size: Float, turn: float, textures: Textures) -> list[Quad]:
    """The four sides and the top of a box that is turned about the vertical axis.

    Args:
        centre_top: Centre of its top.
        size: Width, height and depth.
        turn: Radians.
        textures: Makes the textures.
    """
    along = size[0] * np.array([np.cos(turn), 0, np.sin(turn)])
    across = size[2] * np.array([-np.sin(turn), 0, np.cos(turn)])
    down = np.array([0, size[1], 0])
    corner = centre_top - along / 2 - across / 2
    edges = [
        (corner, along, down),
        (corner + along, across, down),
        (corner + along + across, -along, down),
        (corner + across, -across, down),
        (corner, along, across),
    ]
    return [_quad(start, right, below, textures) for start, right, below in edges]


def _quad(corner: Float, right: Float, down: Float, textures: Textures) -> Quad:
    texture = textures.of_size(float(np.linalg.norm(right)), float(np.linalg.norm(down)))
    return Quad(corner, right, down, texture)


def cameras(places: Float, angles: Float, focal: float, size_wh: tuple[int, int]) -> Float:
    """`(T, 3, 4)`: projection matrices from metres to pixels of pinhole cameras.

    Args:
        places: `(T, 3)`, where they stand, metres.
        angles: `(T, 3)`, yaw, pitch and roll, radians.
        focal: Focal length as a share of the width.
        size_wh: Width and height of the pictures.
    """
    yaw, pitch, roll = angles.T
    turned = _rotation(yaw, 1) @ _rotation(pitch, 0) @ _rotation(roll, 2)
    to_camera = turned.transpose(0, 2, 1)
    translation = -np.einsum("tij,tj->ti", to_camera, places)
    width, height = size_wh
    focal_px = focal * width
    intrinsics = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1.0]])
    return np.asarray(intrinsics @ np.concatenate([to_camera, translation[:, :, None]], axis=2))


def _rotation(angles: Float, axis: int) -> Float:
    """`(T, 3, 3)`: rotations about one axis; radians."""
    matrices = np.zeros((len(angles), 3, 3))
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    cos, sin = np.cos(angles), np.sin(angles)
    matrices[:, axis, axis] = 1
    matrices[:, a, a] = matrices[:, b, b] = cos
    matrices[:, b, a], matrices[:, a, b] = sin, -sin
    return matrices
