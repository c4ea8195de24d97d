"""Pictures drawn from random shapes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def procedural_picture(size_wh: tuple[int, int] = (928, 696), seed: int = 0) -> NDArray[np.uint8]:
    """Generate a textured colour picture of multi-scale noise and several hundred random shapes.

    Args:
        size_wh: Width and height in pixels.
        seed: Equal seeds give equal pictures.

    Returns:
        `(H, W, 3) uint8`, BGR.
    """
    rng = np.random.default_rng(seed)
    width, height = size_wh
    picture = np.full((height, width, 3), 110.0, np.float32)
    for octave in range(2, 8):
        cells = (3 + height // 2**octave, 3 + width // 2**octave, 3)
        layer = rng.normal(0, 1, cells).astype(np.float32)
        layer = 0.35 * layer + 0.65 * layer.mean(axis=2, keepdims=True)
        picture += 3.5 * octave**0.8 * cv2.resize(layer, size_wh, interpolation=cv2.INTER_CUBIC)
    image = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(width * height // 1600):
        _draw_shape(image, rng)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.7), np.uint8)


def _draw_shape(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    centre = rng.uniform((0, 0), (width, height))
    radius = float(np.exp(rng.uniform(np.log(5), np.log(45))))
    colour = tuple(float(c) for c in rng.uniform(10, 245, 3))
    kind = rng.integers(0, 4)
    if kind == 0:
        cv2.ellipse(
            image,
            (centre.tolist(), (radius, radius * float(rng.uniform(0.4, 1))), float(rng.uniform(0, 180))),
            colour,
            -1,
            cv2.LINE_AA,
        )
        return
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
    reach = radius * rng.uniform(0.5, 1.2, len(angles))
    corners = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]
    points = corners.round().astype(np.int32)[None]
    if kind == 1:
        cv2.polylines(image, [points], True, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
    else:
        cv2.fillPoly(image, [points], colour, cv2.LINE_AA)
