"""A textured world seen through a moving window: real pictures for flow, exact places for the tests."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp import Frame, Keypoints, Tracks
from realtime_kp.sources.procedural import procedural_picture

SIZE_WH = (320, 240)
ORIGIN = (100.0, 100.0)


def grained_picture(size_wh: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Shapes with grain on them: something to hold on to everywhere."""
    noise = np.random.default_rng(seed).normal(0, 1, (size_wh[1], size_wh[0]))
    grain = cv2.GaussianBlur(noise, (0, 0), 2.5)
    grained = procedural_picture(size_wh, seed) + 28 / grain.std() * grain[..., None]
    return np.clip(grained, 0, 255).astype(np.uint8)


class World:
    """Corners of a picture, each with a descriptor of its own; views are cut out of it.

    Args:
        seed: Of the picture, the descriptors and the noise.
    """

    def __init__(self, seed: int = 0) -> None:
        self.image = grained_picture((560, 480), seed)
        grey = cv2.cvtColor(self.image, cv2.COLOR_BGR2GRAY)
        self.corners = cv2.goodFeaturesToTrack(grey, 2000, 0.004, 6).reshape(-1, 2)
        self._rng = np.random.default_rng(seed)
        descriptors = self._rng.normal(size=(len(self.corners), 64)).astype(np.float32)
        self.descriptors = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)

    def frame(
        self,
        index: int,
        corner: tuple[float, float] = ORIGIN,
        box: tuple[int, int, int, int] | None = None,
        noise: float = 2.0,
    ) -> Frame:
        """The view whose top left pixel shows `corner`, a flat box (left, top, right, bottom) before it."""
        matrix = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float64)
        image = cv2.warpAffine(self.image, matrix, SIZE_WH, flags=cv2.INTER_LINEAR)
        if box is not None:
            image[box[1] : box[3], box[0] : box[2]] = 128
        noisy = image + self._rng.normal(0, noise, image.shape)
        return Frame(index, index / 30, 0.0, np.clip(noisy, 0, 255).astype(np.uint8))

    def keypoints(
        self,
        corner: tuple[float, float] = ORIGIN,
        box: tuple[int, int, int, int] | None = None,
        of_frame: int | None = None,
    ) -> Keypoints:
        """What a network would find in that view, to half a pixel."""
        xy = self.corners - np.array(corner, np.float32)
        xy = (xy + self._rng.normal(0, 0.3, xy.shape)).astype(np.float32)
        shown = inside(xy, (4, 4, SIZE_WH[0] - 5, SIZE_WH[1] - 5))
        if box is not None:
            shown &= ~inside(xy, box)
        count = int(shown.sum())
        found = Keypoints(xy[shown], np.linspace(0.9, 0.1, count).astype(np.float32), self.descriptors[shown])
        return replace(found, frame_index=of_frame)


def inside(xy: NDArray[np.float32], box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    """Which places lie in a box (left, top, right, bottom)."""
    return ((xy >= box[:2]) & (xy <= box[2:])).all(axis=1)


def places(tracks: Tracks) -> dict[int, NDArray[np.float32]]:
    """Where each track is that was seen and is confirmed."""
    seen = tracks.seen_confirmed
    return dict(zip(seen.ids.tolist(), seen.xy, strict=True))


def errors_px(tracks: Tracks, first: Tracks, moved: tuple[float, float]) -> NDArray[np.float32]:
    """How far tracks seen in both are from where they were first, moved."""
    then, now = places(first), places(tracks)
    gaps = [now[i] - then[i] - np.array(moved, np.float32) for i in now.keys() & then.keys()]
    return np.linalg.norm(np.array(gaps).reshape(-1, 2), axis=1)
