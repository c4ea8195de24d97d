from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.sources import procedural_picture
from realtime_kp.training.blobs import MAX_BLOBS, NMS_PX, blob_response, distinctness, find_blobs

EVERYWHERE = np.ones((200, 240), np.uint8)


def dots(xy: NDArray[np.float64], contrast: float = 120) -> NDArray[np.uint8]:
    """Bright round dots of σ = 2 px."""
    y, x = np.mgrid[:200, :240].astype(float)
    image = np.full((200, 240), 60.0)
    for cx, cy in xy:
        image += contrast * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8)
    return np.clip(image.round(), 0, 255).astype(np.uint8)


@pytest.fixture
def centres() -> NDArray[np.float64]:
    grid = np.stack(np.meshgrid(np.arange(25, 220, 30), np.arange(25, 180, 30)), -1).reshape(-1, 2)
    return grid + np.random.default_rng(0).uniform(-3, 3, grid.shape)


def test_dots_are_found_where_they_are(centres: NDArray[np.float64]) -> None:
    found = find_blobs(dots(centres), EVERYWHERE)[0][: len(centres)]
    gaps = np.linalg.norm(found[:, None] - centres[None], axis=2)
    assert gaps.min(axis=1).max() < 0.25
    assert gaps.min(axis=0).max() < 0.25


def test_dark_dots_are_blobs_too(centres: NDArray[np.float64]) -> None:
    found = find_blobs(255 - dots(centres), EVERYWHERE)[0][: len(centres)]
    assert np.linalg.norm(found[:, None] - centres[None], axis=2).min(axis=1).max() < 0.25


def test_the_corners_of_a_checkerboard_are_found() -> None:
    board = (np.indices((200, 240)) // 40).sum(axis=0) % 2 * 150 + 50
    found, _ = find_blobs(board.astype(np.uint8), EVERYWHERE)
    corners = np.stack(np.meshgrid(np.arange(40, 240, 40), np.arange(40, 200, 40)), -1).reshape(-1, 2) - 0.5
    assert np.linalg.norm(found[:, None] - corners[None], axis=2).min(axis=0).max() < 0.5


def test_an_edge_is_no_blob() -> None:
    edge = np.full((200, 240), 50, np.uint8)
    edge[:, 120:] = 200
    assert float(blob_response(edge)[20:-20].max()) < 0.02


def test_faint_places_are_less_distinct_and_edges_are_not(centres: NDArray[np.float64]) -> None:
    xy = centres.astype(np.float32)
    strong, faint = (distinctness(dots(centres, contrast), xy) for contrast in (120, 10))
    assert (strong > 2 * faint).all()
    assert (faint > 0).all()
    assert strong.max() <= 1
    edge = np.zeros((200, 240), np.uint8)
    edge[:, 120:] = 200
    assert distinctness(edge, np.array([[120, 100]], np.float32))[0] < 0.05


def test_more_light_finds_the_same() -> None:
    grey = cv2.cvtColor(procedural_picture((240, 200), 3), cv2.COLOR_BGR2GRAY)
    darker = cv2.convertScaleAbs(grey, alpha=0.5, beta=30)
    first, second = (find_blobs(image, EVERYWHERE)[0][:150] for image in (grey, darker))
    gaps = np.linalg.norm(first[:, None] - second[None], axis=2).min(axis=1)
    assert (gaps < 1).mean() > 0.9


def test_blobs_keep_their_distance_and_to_the_mask() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 480)).astype(np.uint8)
    mask = np.zeros_like(noise)
    mask[:, :300] = 1
    found, strength = find_blobs(noise, mask)
    assert len(found) == MAX_BLOBS == len(strength)
    assert 1 > strength[0] >= strength[-1] > 0
    assert found[:, 0].max() < 300
    apart = np.abs(found[:, None] - found[None]).max(axis=2)[~np.eye(len(found), dtype=bool)]
    assert apart.min() > NMS_PX - 1
    assert len(find_blobs(np.full((50, 50), 7, np.uint8), np.ones((50, 50), np.uint8))[0]) == 0
