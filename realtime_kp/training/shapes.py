"""Drawn shapes with exactly known corners, as training tiles beside photographs with pseudo-labels.

A corner is the same point from every distance and side, the centre of a blob is not: networks trained on
corners localise matches more accurately under oblique views (DeTone et al., SuperPoint, 2018, section 4,
which starts with such shapes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.training.images import TILE_PX, Tiles
from realtime_kp.training.labels import MAX_LABELS, Labels, no_labels, turn

FloatArray = NDArray[np.float32]

_FINER = 3  # drawn so many times larger, then averaged: edges are as soft as a camera's
_CANVAS_WH = (TILE_PX * _FINER, TILE_PX * _FINER)
_SHIFT = 4  # OpenCV draws at 1/16 pixel
_EDGE_PX = 4
_LEAST_CONTRAST = 40.0
# Smallest eigenvalue of the structure tensor; a right angle with a contrast of 15 grey levels has it, the
# median corner 50 times as much.
_LEAST_STRENGTH = 2.5e-4
_KINDS = (0.55, 0.25, 0.1, 0.1)  # shares of polygons, boards, stars, discs
_SHARPEST_RAD, _BLUNTEST_RAD = (
    0.5,
    2.6,
)  # of the angles under which a polygon's corners are seen from its middle


def draw_tiles(
    count: int, seed: int, textures: Tiles, progress: Callable[[int], None] = lambda done: None
) -> tuple[Tiles, Labels]:
    """Draw polygons, checkerboards, stars and, as shapes without corners, discs.

    Args:
        count: N.
        seed: Seed of all shapes.
        textures: `(M, S, S) uint8`, M > 0: images for some of the backgrounds and shapes.
        progress: Called with the number of tiles done.

    Returns:
        `(N, 352, 352) uint8` tiles, and labels of confidence 1 at their visible corners.
    """
    tiles = np.zeros((count, TILE_PX, TILE_PX), np.uint8)
    labels = no_labels(count)
    for number in range(count):
        canvas = _Canvas(np.random.default_rng((seed, number)), textures)
        tiles[number], corners = canvas.draw()
        labels.xy[number, : len(corners)] = corners
        labels.mass[number, : len(corners)] = 1
        progress(number + 1)
    return tiles, labels


class _Canvas:
    """One tile: a background, and shapes in the cells of a grid, so that few corners are covered."""

    def __init__(self, rng: np.random.Generator, textures: Tiles) -> None:
        self._rng = rng
        self._textures = textures
        self._corners: list[NDArray[np.floating[Any]]] = []
        self._image = self._ground()

    def draw(self) -> tuple[NDArray[np.uint8], FloatArray]:
        """The tile and `(K, 2)` corners, pixels."""
        kinds = (self._polygon, self._board, self._star, self._disc)
        rows = int(self._rng.integers(2, 6))
        cell_px = TILE_PX / rows
        for line in range(rows):
            for column in range(rows):
                middle = (np.array([column, line]) + 0.5) * cell_px
                kinds[self._rng.choice(len(kinds), p=_KINDS)](middle, cell_px)
        image = cv2.resize(self._image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
        corners = np.concatenate(self._corners) if self._corners else np.zeros((0, 2))
        inside = ((corners >= _EDGE_PX) & (corners <= TILE_PX - 1 - _EDGE_PX)).all(axis=1)
        corners = corners[inside]
        corners = corners[_can_be_seen(image, corners)][:MAX_LABELS]
        image += self._rng.normal(0, self._rng.uniform(0, 4), image.shape)
        return np.clip(image, 0, 255).astype(np.uint8), corners.astype(np.float32)

    def _ground(self) -> FloatArray:
        left, right = self._rng.uniform(0, 255, 2)
        ground = np.tile(np.linspace(left, right, _CANVAS_WH[0]), (_CANVAS_WH[1], 1))
        if self._rng.random() < 0.5:
            ground = ground.T
        waves = self._rng.normal(0, self._rng.uniform(0, 25), (int(self._rng.integers(3, 12)),) * 2)
        ground = ground + cv2.resize(waves, _CANVAS_WH, interpolation=cv2.INTER_CUBIC)
        if self._rng.random() < 0.4:
            ground = 0.7 * ground + 0.3 * self._texture()
        return np.ascontiguousarray(ground, np.float32)

    def _texture(self) -> FloatArray:
        texture = self._textures[self._rng.integers(len(self._textures))].astype(np.float32)
        return np.asarray(cv2.resize(texture, _CANVAS_WH), np.float32)

    def _shade_beside(self, middle: NDArray[np.float64]) -> float:
        """A grey level that contrasts with the image there."""
        column, line = (middle * _FINER).astype(int)
        there = float(self._image[line, column])
        while True:
            shade = float(self._rng.uniform(0, 255))
            if abs(shade - there) >= _LEAST_CONTRAST:
                return shade

    def _polygon(self, middle: NDArray[np.float64], cell_px: float) -> None:
        corners = middle + _polygon_corners(self._rng) * 0.48 * cell_px
        shade = self._shade_beside(middle)
        mask = np.zeros(self._image.shape, np.uint8)
        cv2.fillPoly(mask, [_fine(corners)], 1, cv2.LINE_8, _SHIFT)
        inside = mask > 0
        if self._rng.random() < 0.3:
            self._image[inside] = (0.5 * shade + 0.5 * self._texture())[inside]
        else:
            self._image[inside] = shade
        self._corners.append(corners)

    def _board(self, middle: NDArray[np.float64], cell_px: float) -> None:
        columns, lines = (int(n) for n in self._rng.integers(2, 5, 2))
        outline = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * self._rng.uniform(0.26, 0.3, (4, 1))
        outline = outline @ turn(self._rng.uniform(0, 2 * np.pi)).T + self._rng.uniform(-0.06, 0.06, (4, 2))
        whole = np.array([[0, 0], [columns, 0], [columns, lines], [0, lines]], np.float32)
        bend = cv2.getPerspectiveTransform(whole, (outline * cell_px + middle).astype(np.float32))
        grid = np.stack(np.meshgrid(np.arange(columns + 1.0), np.arange(lines + 1.0)), axis=-1)
        places = cv2.perspectiveTransform(grid, bend)
        shade = self._shade_beside(middle)
        shades = (shade, (shade + 128 + self._rng.uniform(-60, 60)) % 255)
        for line in range(lines):
            for column in range(columns):
                around = places[[line, line, line + 1, line + 1], [column, column + 1, column + 1, column]]
                own = shades[(line + column) % 2] + self._rng.normal(0, 8)
                cv2.fillPoly(self._image, [_fine(around)], own, cv2.LINE_8, _SHIFT)
        self._corners.append(places.reshape(-1, 2))

    def _star(self, middle: NDArray[np.float64], cell_px: float) -> None:
        count = int(self._rng.integers(3, 6))
        angles = self._rng.uniform(0, 2 * np.pi, count)
        reach = 0.45 * cell_px * self._rng.uniform(0.5, 1, (count, 1))
        ends = middle + np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach
        width, shade = int(_FINER * self._rng.uniform(1, 3)), self._shade_beside(middle)
        for end in ends:
            from_, to = _fine(np.stack([middle, end])).tolist()
            cv2.line(self._image, from_, to, shade, width, cv2.LINE_8, _SHIFT)
        self._corners.append(np.vstack([ends, middle]))

    def _disc(self, middle: NDArray[np.float64], cell_px: float) -> None:
        (centre,) = _fine(middle[None]).tolist()
        radius = round(0.3 * cell_px * _FINER * (1 << _SHIFT))
        cv2.circle(self._image, centre, radius, self._shade_beside(middle), cv2.FILLED, cv2.LINE_8, _SHIFT)


def _can_be_seen(image: FloatArray, xy: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which corners are visible: grey levels may coincide, and angles may be nearly straight."""
    nearby = cv2.dilate(cv2.cornerMinEigenVal(image / 255, 5), np.ones((5, 5)))
    x, y = xy.round().astype(int).T
    return np.asarray(nearby[y, x] >= _LEAST_STRENGTH)


def _polygon_corners(rng: np.random.Generator) -> NDArray[np.float64]:
    """`(K, 2)`: 3 to 6 corners around the origin, at distances of at most 1."""
    while True:
        count = int(rng.integers(3, 7))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        gaps = np.diff(np.r_[angles, angles[0] + 2 * np.pi])
        if gaps.min() >= _SHARPEST_RAD and gaps.max() <= _BLUNTEST_RAD:
            reach = rng.uniform(0.55, 1, (count, 1))
            return np.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach)


def _fine(xy: NDArray[np.float64]) -> NDArray[np.int32]:
    """Positions of the tile on the supersampled canvas, in the fixed-point format of OpenCV."""
    # The centre of a pixel is the centre of its 3×3 supersampled pixels.
    return np.rint(((xy + 0.5) * _FINER - 0.5) * (1 << _SHIFT)).astype(np.int32)
