"""Clips of a photograph on a plane that moves before another picture: where its corners are is known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Image = NDArray[np.uint8]

_FOCAL = 1.0  # of the width of the frame
_TURN, _TILT = 0.7, 0.35  # radians, out of the plane of the picture and within it
_SHARE = (0.35, 0.75)  # of the width of the frame
_OVERSAMPLED = 2
_NOISE = 2.0


class ReferenceClip:
    """A photograph on a plane under smooth motion.

    Args:
        photograph: `(H, W, 3) uint8`.
        background: `(H, W, 3) uint8`, what is behind it.
        size_wh: Width and height of the frames.
        occluder: Whether something moves before it, which covers up to half of it.
        seed: Of motion and noise.
    """

    def __init__(
        self,
        photograph: Image,
        background: Image,
        *,
        size_wh: tuple[int, int] = (640, 480),
        occluder: bool = False,
        seed: int = 0,
    ) -> None:
        self._photograph = photograph
        self._size_wh = size_wh
        self._background = cv2.resize(background, size_wh, interpolation=cv2.INTER_AREA)
        self._occluder = occluder
        rng = np.random.default_rng(seed)
        self._rates, self._phases = rng.uniform(0.02, 0.06, 7), rng.uniform(0, 2 * np.pi, 7)
        self._seed = seed

    def pose(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rotation `(3, 3)` from the photograph to the camera, and `(3,)`, its middle, in widths of it."""
        turn_x, turn_y, tilt, x, y, share, _ = np.sin(self._rates * index + self._phases)
        low, high = _SHARE
        across = (low + high) / 2 + share * (high - low) / 2
        rotation, _ = cv2.Rodrigues(np.array([_TURN * turn_x, _TURN * turn_y, 0.0]))
        spin, _ = cv2.Rodrigues(np.array([0.0, 0.0, _TILT * tilt]))
        # The plane is as wide as 1; the frame shows that much of it at this distance.
        distance = _FOCAL / across
        centre = np.array([0.25 * x * (1 - across) * distance, 0.2 * y * (1 - across) * distance, distance])
        return spin @ rotation, centre

    @property
    def camera_matrix(self) -> NDArray[np.float64]:
        """`(3, 3)`: of the camera that sees the frames."""
        width, height = self._size_wh
        focal = _FOCAL * width
        return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])

    def homography(self, index: int) -> NDArray[np.float64]:
        """`(3, 3)`: from pixels of the photograph to pixels of frame `index`."""
        axes, centre = self.pose(index)
        height, width = self._photograph.shape[:2]
        onto_plane = np.array([[1, 0, (1 - width) / 2], [0, 1, (1 - height) / 2], [0, 0, width]]) / width
        placed = np.column_stack([axes[:, 0], axes[:, 1], centre]) @ onto_plane
        return np.asarray(self.camera_matrix @ placed)

    def corners_xy(self, index: int) -> FloatArray:
        """`(4, 2)`: outer corners of the photograph in frame `index`, from the top left one clockwise."""
        height, width = self._photograph.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) - 0.5
        return np.asarray(cv2.perspectiveTransform(corners[None], self.homography(index))[0], np.float32)

    def render(self, index: int) -> Image:
        """Frame `index`: `(H, W, 3) uint8`."""
        k, (width, height) = _OVERSAMPLED, self._size_wh
        photograph, shrunk = self._shrunk(index)
        finer = np.array([[k, 0, (k - 1) / 2], [0, k, (k - 1) / 2], [0, 0, 1]])
        matrix = finer @ self.homography(index) @ shrunk
        image = cv2.resize(self._background, (k * width, k * height))
        cv2.warpPerspective(
            photograph,
            matrix,
            (k * width, k * height),
            image,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        if self._occluder:
            self._cover(image, index)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        noise = np.random.default_rng((self._seed, index)).normal(0, _NOISE, image.shape)
        return np.asarray(np.clip(image + noise, 0, 255), np.uint8)

    def _shrunk(self, index: int) -> tuple[Image, NDArray[np.float64]]:
        """The photograph at about the size at which it is shown, and the way from its pixels to the whole."""
        height, width = self._photograph.shape[:2]
        area = float(cv2.contourArea(self.corners_xy(index)))
        scale = min(1.0, 1.4 * _OVERSAMPLED * float(np.sqrt(area / (width * height))))
        size_wh = max(1, round(scale * width)), max(1, round(scale * height))
        small = cv2.resize(self._photograph, size_wh, interpolation=cv2.INTER_AREA)
        x, y = width / size_wh[0], height / size_wh[1]
        return small, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])

    def _cover(self, image: Image, index: int) -> None:
        corners = self.corners_xy(index) * _OVERSAMPLED
        left, right = corners[:, 0].min(), corners[:, 0].max()
        # From one side of it to the other and back, a third as wide as it is.
        place = left + (right - left) * (0.5 + 0.7 * np.sin(0.05 * index + self._phases[6]))
        half = (right - left) / 6
        cv2.rectangle(image, (int(place - half), 0), (int(place + half), image.shape[0]), (60, 90, 150), -1)
