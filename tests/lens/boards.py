"""Pictures of calibration boards, seen through a known lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens import Lens

SQUARE_M = 0.03
TEXELS = 60  # of a square

Picture = NDArray[np.uint8]


def chessboard(corners: tuple[int, int]) -> Picture:
    """A chessboard with a white border of one square."""
    columns, rows = (count + 1 for count in corners)
    y, x = np.mgrid[-1 : rows + 1, -1 : columns + 1]
    black = ((x + y) % 2 == 0) & (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
    return np.kron(np.where(black, 20, 235).astype(np.uint8), np.ones((TEXELS, TEXELS), np.uint8))


def charuco(squares: tuple[int, int]) -> Picture:
    """A ChArUco board of 4X4_50 with a white border of one square."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    board = cv2.aruco.CharucoBoard(squares, SQUARE_M, 0.75 * SQUARE_M, dictionary)
    size = tuple((count + 2) * TEXELS for count in squares)
    return np.asarray(board.generateImage(size, None, TEXELS, 1), np.uint8)


def poses(
    count: int, squares: tuple[int, int], seed: int = 0
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Rotations `(3, 3)` and translations `(3,)` of boards that fill all parts of the picture, tilted."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        tilt = np.deg2rad(rng.uniform(-35, 35, 3) * (1, 1, 0.6))
        rotation, _ = cv2.Rodrigues(tilt)
        far = rng.uniform(0.45, 0.8)
        aside = np.array([(-1) ** number, (-1) ** (number // 2), 0]) * rng.uniform(0.0, 0.16, 3) * far / 0.5
        middle = np.array([*squares, 0]) * SQUARE_M / 2
        found.append((rotation, aside + np.array([0, 0, far]) - rotation @ middle))
    return found


def rays_of(lens: Lens) -> NDArray[np.float64]:
    """`(2 H, 2 W, 2)`: normalised coordinates of places in the pixels of a lens."""
    x, y = ((np.arange(2 * side) + 0.5) / 2 - 0.5 for side in lens.size_wh)
    places = np.stack(np.meshgrid(x, y), axis=2)
    return lens.normalised(places.reshape(-1, 2)).reshape(places.shape)


def shown(
    board: Picture,
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    rays: NDArray[np.float64],
    seed: int = 0,
) -> Picture:
    """A picture `(H, W, 3)` of a board, whose texture begins a square before its first one."""
    height, width = (side // 2 for side in rays.shape[:2])
    # A point of the board a, b is seen along rotation[:, :2] @ (a, b) + translation.
    plane = np.linalg.inv(np.column_stack([rotation[:, 0], rotation[:, 1], translation]))
    on_board = rays @ plane[:, :2].T + plane[:, 2]
    place = on_board[..., :2] / on_board[..., 2:] / SQUARE_M
    texel = ((place + 1) * TEXELS - 0.5).astype(np.float32)
    fine = cv2.remap(board, texel, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(120,))
    grey = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    noisy = grey + np.random.default_rng(seed).normal(0, 3, grey.shape)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def views(board: Picture, squares: tuple[int, int], lens: Lens, count: int, seed: int = 0) -> list[Picture]:
    """Pictures of a board in several poses."""
    rays = rays_of(lens)
    # Lenses that see more need the board nearer.
    nearer = min(1.0, lens.focal_xy[0] / 520)
    return [
        shown(board, rotation, translation * (1, 1, nearer), rays, number)
        for number, (rotation, translation) in enumerate(poses(count, squares, seed))
    ]
