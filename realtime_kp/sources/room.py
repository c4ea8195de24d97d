"""A rigid room with depth and known motion: textured walls, turned boxes, and a box that drives through."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from realtime_kp.sources.quads import SAME_DEPTH, Float, cast_rays, inverse_projections, render
from realtime_kp.sources.room_parts import FLOOR_M, Textures, box, boxes, cameras, walls
from realtime_kp.sources.scene import PERIOD_FRAMES, around

RoomMotion = Literal["walk", "forward", "turn"]
ROOM_MOTIONS: tuple[RoomMotion, ...] = ("walk", "forward", "turn")

_FOCAL = 0.9  # of the width
_DRIVING_HEIGHT_M = 1.6
_NOISE_SIGMA = 3.0
_GAIN = 0.1
_GAIN_PERIOD = 44
_DRIVE_FRAMES = (15, 75)
_ROLLING = 0.8  # of the interval between frames, from the first row to the last
_SHUTTER = 0.5  # of the interval between frames
_BLUR_SAMPLES = 5
_EDGE = 0.05  # relative change of depth
_KEPT_MAPS = 1000
# Amplitudes: metres in x, y and z; degrees of yaw, pitch and roll.
_AMPLITUDES: dict[RoomMotion, tuple[float, ...]] = {
    "walk": (0.9, 0.12, 0.9, 6.0, 3.0, 2.0),
    "forward": (0.15, 0.05, 0.0, 2.0, 1.0, 1.0),
    "turn": (0.0, 0.0, 0.0, 24.0, 5.0, 3.0),
}
_FORWARD_M = 2.2


class RoomScene:
    """A room seen by a moving pinhole camera; x points right, y down, z forward, in metres.

    The motion is `walk` (±0.9 m sideways and in depth, a few degrees of rotation), `forward` (2.2 m ahead and
    back in 90 frames: near surfaces grow by more than a factor of two) or `turn` (rotation in place, ±24°).
    Noise is Gaussian with σ = 3, brightness changes by ±10 % (period 44 frames). One box drives through the
    room in frames 15 to 75 of every 90.

    Args:
        size_wh: Width and height of the frames.
        motion: Motion of the camera.
        seed: Seed of textures, boxes, motion and noise.
        picture_bgr: `(H, W, 3) uint8`, a photograph for the textures; None uses procedural pictures.
        rolling_shutter: Expose the last row 0.8 frame intervals after the first.
        motion_blur: Integrate over half of the frame interval.
    """

    def __init__(
        self,
        size_wh: tuple[int, int] = (640, 480),
        motion: RoomMotion = "walk",
        seed: int = 0,
        picture_bgr: NDArray[np.uint8] | None = None,
        *,
        rolling_shutter: bool = False,
        motion_blur: bool = False,
    ) -> None:
        self.size_wh = size_wh
        self.motion = motion
        self._rolling = rolling_shutter
        self._blur = motion_blur
        self._seed = seed
        rng = np.random.default_rng((seed, 7))
        self._periods = rng.uniform(0.5, 1.2, 6)
        self._phases = rng.uniform(0, 2 * np.pi, 6)
        textures = Textures(seed, [] if picture_bgr is None else [picture_bgr])
        self._quads = [*walls(textures), *boxes(rng, textures)]
        driving = box(
            np.zeros(3), np.array([0.6, _DRIVING_HEIGHT_M, 0.6]), float(rng.uniform(0.2, 1.2)), textures
        )
        self._first_driving = len(self._quads)
        self._quads += driving
        self._frames = np.stack([quad.frame for quad in self._quads])
        self._kept_maps: dict[int, Float] = {}
        self._drive_z = float(rng.uniform(3.2, 3.5))

    def truth(
        self, i: int, j: int, xy: NDArray[np.float32] | NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Ground truth: positions in frame `j` of the surface points that frame `i` shows.

        Args:
            i: Frame in which the points were seen.
            j: Frame in which they are wanted.
            xy: `(N, 2)`, positions in frame `i`, pixels.

        Returns:
            `(N, 2) float32` positions in frame `j`, and `(N,) bool`: whether each lies on a surface, inside
            frame `j`, and is the nearest surface there.
        """
        points = np.asarray(xy, np.float64).reshape(-1, 2)
        if len(points) == 0:
            return np.zeros((0, 2), np.float32), np.zeros(0, np.bool_)
        quad, st, _ = cast_rays(self._maps(i, points[:, 1]), points)
        on_surface = quad >= 0
        frames = self._frames_at(j)[np.maximum(quad, 0)]
        surface = np.einsum("nij,nj->ni", frames, np.concatenate([st, np.ones((len(st), 1))], axis=1))
        moved, depth = self._project(j, np.where(on_surface[:, None], surface, 1.0))
        width, height = self.size_wh
        inside = (depth > 0) & ((moved >= 0) & (moved <= (width - 1, height - 1))).all(axis=1)
        # Points outside are cast from the centre of the frame: only finite numbers are needed.
        asked = np.where(inside[:, None], moved, (width / 2, height / 2))
        _, _, nearest = cast_rays(self._maps(j, asked[:, 1]), asked)
        visible = on_surface & inside & (nearest * depth <= 1 + SAME_DEPTH)
        return np.where(np.isfinite(moved), moved, 0).astype(np.float32), visible

    def depth_edges(self, index: int, xy: NDArray[np.float32], reach_px: float) -> NDArray[np.bool_]:
        """`(N,) bool`: points `(N, 2)` of a frame near which another surface is shown at another depth."""
        places = around(xy, reach_px).reshape(-1, 2)
        quad, _, inverse_depth = cast_rays(self._maps(index, places[:, 1]), places)
        quad, depth = quad.reshape(-1, 9), 1 / np.maximum(inverse_depth, SAME_DEPTH).reshape(-1, 9)
        apart = np.abs(depth / depth[:, :1] - 1) > _EDGE
        return np.asarray((apart & (quad != quad[:, :1])).any(axis=1))

    def render(self, index: int) -> NDArray[np.uint8]:
        """Render frame `index`: `(H, W, 3) uint8`, BGR."""
        width, height = self.size_wh
        rows = (np.arange(2 * height) + 0.5) / 2 - 0.5
        offsets = np.linspace(-_SHUTTER / 2, _SHUTTER / 2, _BLUR_SAMPLES) if self._blur else np.zeros(1)
        images = [
            render(self._quads, self._frames_at(index + t), self._cameras(index + t, rows), self.size_wh)
            for t in offsets
        ]
        image = np.mean(images, axis=0) if len(images) > 1 else images[0].astype(np.float64)
        gain = 1 + _GAIN * np.sin(2 * np.pi * index / _GAIN_PERIOD)
        noise = np.random.default_rng((self._seed, index)).standard_normal((height, width, 3), np.float32)
        noisy = np.clip(np.rint(image * gain + _NOISE_SIGMA * noise), 0, 255)
        return np.asarray(noisy, np.uint8)

    def camera(self, index: float) -> Float:
        """`(3, 4)`: projection matrix from metres to pixels at frame `index`, of its middle row."""
        return np.asarray(self._camera(np.array([index], np.float64))[0])

    def _maps(self, index: int, rows: Float) -> Float:
        """Maps from pixels to all quads, see `inverse_projections`; the last ones are kept."""
        if self._rolling:
            return inverse_projections(self._frames_at(index), self._cameras(index, rows))
        if index not in self._kept_maps:
            if len(self._kept_maps) >= _KEPT_MAPS:
                self._kept_maps.clear()
            self._kept_maps[index] = inverse_projections(
                self._frames_at(index), self._cameras(index, rows[:1])
            )
        return self._kept_maps[index]

    def _project(self, index: int, surface: Float) -> tuple[Float, Float]:
        """Pixels and depths of points in space; with a rolling shutter the row decides the time."""
        homogeneous = np.concatenate([surface, np.ones((len(surface), 1))], axis=1)
        row = np.full(len(surface), (self.size_wh[1] - 1) / 2)
        for _ in range(6 if self._rolling else 1):
            projected = np.matmul(self._cameras(index, row), homogeneous[:, :, None])[..., 0]
            depth = projected[:, 2]
            xy = projected[:, :2] / np.where(np.abs(depth) < 1e-6, 1e-6, depth)[:, None]
            row = np.clip(xy[:, 1], -self.size_wh[1], 2 * self.size_wh[1])
        return xy, depth

    def _cameras(self, index: float, rows: Float) -> Float:
        """`(R, 3, 4)`: projection matrices at the times of some rows; `(1, 3, 4)` where all are the same."""
        height = self.size_wh[1]
        if not self._rolling:
            return self._camera(np.array([float(index)]))
        return self._camera(index + _ROLLING * (rows / (height - 1) - 0.5))

    def _camera(self, times: Float) -> Float:
        """`(T, 3, 4)`: projection matrices at some times, in frames."""
        angles = 2 * np.pi * np.outer(times / PERIOD_FRAMES, self._periods) + self._phases
        values = np.sin(angles) * np.array(_AMPLITUDES[self.motion])
        if self.motion == "forward":
            values[:, 2] += _FORWARD_M * (1 - np.cos(2 * np.pi * times / PERIOD_FRAMES)) / 2
        return cameras(values[:, :3], np.deg2rad(values[:, 3:]), _FOCAL, self.size_wh)

    def _frames_at(self, index: float) -> Float:
        """`(Q, 3, 3)`: the quads at a time, in frames; only the driving box moves."""
        first, last = _DRIVE_FRAMES
        part = ((index % PERIOD_FRAMES) - first) / (last - first)
        # Outside its time it waits beyond the walls, where nothing sees it.
        x = 20.0 if not 0 <= part <= 1 else -3.0 + 6.0 * part
        frames = self._frames.copy()
        frames[self._first_driving :, :, 2] += (x, FLOOR_M - _DRIVING_HEIGHT_M, self._drive_z)
        return frames
