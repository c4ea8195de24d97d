"""A scene with known motion: a picture moved by smooth homographies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Motion = Literal["handheld", "fast", "zoom", "still"]
MOTIONS: tuple[Motion, ...] = ("handheld", "fast", "zoom", "still")

PERIOD_FRAMES = 90
OVERSIZE = 1.45
OCCLUDER_FRAMES = (30, 60)
OCCLUDER_WH = (200, 300)
_FLICKER = 0.2
_NOISE_SIGMA = 4.0
_NOISE_TILES = 4
_BLUR_FROM_PX = 6.0


@dataclass(frozen=True, slots=True)
class _MotionAmplitudes:
    """Amplitudes and frequency of the camera motion.

    Attributes:
        zoom: Logarithm of the scale.
        angle_deg: Rotation.
        pan: Share of the width and height of the frame.
        tilt: Perspective.
        periods: Smallest and largest number of periods in 90 frames.
    """

    zoom: float
    angle_deg: float
    pan: float
    tilt: float
    periods: tuple[float, float]


_AMPLITUDES: dict[Motion, _MotionAmplitudes] = {
    "handheld": _MotionAmplitudes(0.18, 14, 0.09, 1.5e-4, (0.5, 1.2)),
    "fast": _MotionAmplitudes(0.18, 14, 0.12, 1.5e-4, (1.5, 3.0)),
    "zoom": _MotionAmplitudes(0.35, 40, 0.03, 0.5e-4, (0.5, 1.2)),
    "still": _MotionAmplitudes(0.18, 14, 0.09, 1.5e-4, (0.5, 1.2)),
}


@dataclass(frozen=True, slots=True)
class _Sinusoid:
    """A sine over the frames: `amplitude * sin(2π periods t / 90 + phase)`."""

    amplitude: float
    periods: float
    phase: float

    def at(self, index: float) -> float:
        return self.amplitude * float(np.sin(2 * np.pi * self.periods * index / PERIOD_FRAMES + self.phase))


class Scene:
    """A picture under H(t) = translation · perspective · zoom and rotation · centring.

    Each part is a sine of 0.5 to 1.2 periods over 90 frames with a random phase: zoom exp(±0.18), rotation
    ±14°, pan ±9 % of the frame, perspective ±1.5e-4. The picture is 1.45 × the size that fills the frame.
    Motion blur follows the motion above 6 px a frame, the gain is 1 ± 0.12 (period 44 frames), the noise
    Gaussian with σ = 4. With the occluder, a flat box of 200 × 300 px crosses during frames 30 to 60 of
    every 90.

    That is a camera held in the hand. `fast` sways 1.5 to 3 times in 90 frames, and ±12 % of the frame;
    `zoom` zooms by exp(±0.35) and turns by ±40°, and hardly pans; `still` stands where the hand held it at
    frame 0, with constant gain. Flicker is a gain of 1 ± 0.2 that changes from frame to frame.
    """

    def __init__(
        self,
        picture_bgr: NDArray[np.uint8],
        size_wh: tuple[int, int] = (640, 480),
        motion: Motion = "handheld",
        occluder: bool = False,
        seed: int = 0,
        flicker: bool = False,
    ) -> None:
        self.size_wh = size_wh
        self.motion = motion
        self.occluder = occluder
        self.flicker = flicker
        width, height = size_wh
        scale = OVERSIZE * max(width / picture_bgr.shape[1], height / picture_bgr.shape[0])
        self._picture = cv2.resize(
            picture_bgr,
            None,
            fx=scale,
            fy=scale,
            interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
        )
        rng = np.random.default_rng(seed)
        sway = _AMPLITUDES[motion]

        def swing(amplitude: float) -> _Sinusoid:
            return _Sinusoid(amplitude, float(rng.uniform(*sway.periods)), float(rng.uniform(0, 2 * np.pi)))

        self._zoom = swing(sway.zoom)
        self._angle = swing(np.deg2rad(sway.angle_deg))
        self._pan = (swing(sway.pan * width), swing(sway.pan * height))
        self._tilt = (swing(sway.tilt), swing(sway.tilt))
        # Noise is generated once and cropped at random positions: new noise would cost more than the frame.
        noise = rng.normal(0, _NOISE_SIGMA, (_NOISE_TILES, height + 64, width + 64, 3))
        self._noise = np.rint(noise).astype(np.int8)
        self._seed = seed

    def homography(self, index: float) -> NDArray[np.float64]:
        """`(3, 3)`: picture pixels to the pixels of frame `index` (may lie between two frames)."""
        if self.motion == "still":
            index = 0
        width, height = self.size_wh
        rows, columns = self._picture.shape[:2]
        centring = np.array([[1, 0, -(columns - 1) / 2], [0, 1, -(rows - 1) / 2], [0, 0, 1.0]])
        zoom, angle = np.exp(self._zoom.at(index)), self._angle.at(index)
        turn = np.array(
            [
                [zoom * np.cos(angle), -zoom * np.sin(angle), 0],
                [zoom * np.sin(angle), zoom * np.cos(angle), 0],
                [0, 0, 1.0],
            ]
        )
        perspective = np.array(
            [[1, 0, 0], [0, 1, 0], [self._tilt[0].at(index), self._tilt[1].at(index), 1.0]]
        )
        x = (width - 1) / 2 + self._pan[0].at(index)
        y = (height - 1) / 2 + self._pan[1].at(index)
        translation = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
        return np.asarray(translation @ perspective @ turn @ centring)

    def truth(
        self, i: int, j: int, xy: NDArray[np.float32] | NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Ground truth: positions in frame `j` of points of frame `i`.

        Args:
            i: Frame in which the points were seen.
            j: Frame in which they are wanted.
            xy: `(N, 2)`, positions in frame `i`, pixels.

        Returns:
            `(N, 2) float32` positions in frame `j`, and `(N,) bool`: whether each lies on the picture, inside
            frame `j`, and behind no occluder in either frame.
        """
        points = np.asarray(xy, np.float64).reshape(-1, 2)
        if len(points) == 0:
            return np.zeros((0, 2), np.float32), np.zeros(0, np.bool_)
        on_picture = _warp(np.linalg.inv(self.homography(i)), points)
        moved = _warp(self.homography(j), on_picture)
        rows, columns = self._picture.shape[:2]
        visible = _inside(on_picture, (columns, rows)) & _inside(moved, self.size_wh)
        visible &= ~self._occluded(i, points) & ~self._occluded(j, moved)
        return moved.astype(np.float32), visible

    def depth_edges(self, index: int, xy: NDArray[np.float32], reach_px: float) -> NDArray[np.bool_]:
        """`(N,) bool`: which points `(N, 2)` of a frame lie within a distance of the occluder, or on it."""
        return np.asarray(
            self._occluded(index, around(xy, reach_px).reshape(-1, 2)).reshape(-1, 9).any(axis=1)
        )

    def render(self, index: int) -> NDArray[np.uint8]:
        """Render frame `index`: `(H, W, 3) uint8`, BGR."""
        image = cv2.warpPerspective(
            self._picture,
            self.homography(index),
            self.size_wh,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        image = _motion_blur(image, self._motion_px(index))
        box = self._occluder_box(index)
        if box is not None:
            cv2.rectangle(image, box[:2], (box[2] - 1, box[3] - 1), (105, 120, 128), cv2.FILLED)
        return self._with_noise(cv2.convertScaleAbs(image, alpha=self._gain(index)), index)

    def _gain(self, index: int) -> float:
        gain = 1.0 if self.motion == "still" else 1 + 0.12 * float(np.sin(2 * np.pi * index / 44))
        if self.flicker:
            gain *= 1 + _FLICKER * float(np.random.default_rng((self._seed, index, 1)).uniform(-1, 1))
        return gain

    def _with_noise(self, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        width, height = self.size_wh
        tile, x, y = np.random.default_rng((self._seed, index)).integers(0, (_NOISE_TILES, 64, 64))
        noise = self._noise[tile, y : y + height, x : x + width]
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)

    def _motion_px(self, index: int) -> NDArray[np.float64]:
        centre = np.array([[(self.size_wh[0] - 1) / 2, (self.size_wh[1] - 1) / 2]])
        before = _warp(np.linalg.inv(self.homography(index - 0.5)), centre)
        return np.asarray((_warp(self.homography(index + 0.5), before) - centre)[0])

    def _occluder_box(self, index: int) -> tuple[int, int, int, int] | None:
        first, last = OCCLUDER_FRAMES
        phase = index % PERIOD_FRAMES
        if not self.occluder or not first <= phase < last:
            return None
        width, height = self.size_wh
        box_w, box_h = OCCLUDER_WH
        x = round(-box_w + (phase - first + 0.5) / (last - first) * (width + box_w))
        y = (height - box_h) // 2
        return x, y, x + box_w, y + box_h

    def _occluded(self, index: int, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        box = self._occluder_box(index)
        if box is None:
            return np.zeros(len(xy), np.bool_)
        left, top, right, bottom = box
        return np.asarray(
            (xy[:, 0] > left - 0.5)
            & (xy[:, 0] < right - 0.5)
            & (xy[:, 1] > top - 0.5)
            & (xy[:, 1] < bottom - 0.5)
        )


def around(xy: NDArray[np.float32], reach_px: float) -> NDArray[np.float64]:
    """`(N, 9, 2)`: points `(N, 2)`, each followed by eight at a distance along the axes and diagonals."""
    steps = np.array([(0, 0), *((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y)], np.float64)
    return np.asarray(xy[:, None] + reach_px * steps)


def _warp(homography: NDArray[np.floating], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    mapped = xy @ homography[:, :2].T + homography[:, 2]
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def _inside(xy: NDArray[np.float64], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((xy >= -0.5) & (xy < np.array(size_wh) - 0.5)).all(axis=1))


def _motion_blur(image: NDArray[np.uint8], motion_px: NDArray[np.float64]) -> NDArray[np.uint8]:
    length = float(np.hypot(*motion_px))
    if length <= _BLUR_FROM_PX:
        return image
    # The exposure is half of the frame interval; the blur kernel is a line along the motion.
    reach = length / 2
    side = 2 * int(np.ceil(reach / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    middle = side // 2
    for step in np.linspace(-0.5, 0.5, 4 * side):
        x, y = middle + motion_px * step * reach / length
        left, top = int(np.floor(x)), int(np.floor(y))
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight = (1 - abs(x - left - dx)) * (1 - abs(y - top - dy))
            if weight > 0 and 0 <= left + dx < side and 0 <= top + dy < side:
                kernel[top + dy, left + dx] += weight
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
