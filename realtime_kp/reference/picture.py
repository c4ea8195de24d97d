"""The reference picture, and its patches at several sizes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError
from realtime_kp.frame import check_image
from realtime_kp.lens import Lens
from realtime_kp.tracking.key_patches import cut_patches
from realtime_kp.tracking.motion import GlobalMotion, undistorted, warp
from realtime_kp.tracking.patch_pool import PatchPool
from realtime_kp.tracking.patch_sampling import REACH_PX, min_eigenvalue

FloatArray = NDArray[np.float32]
Homography = NDArray[np.float64]

LEAST_SIDE_PX = 32
_LEAST_LEVEL_PX = 48
_MOST_LEVELS = 6
_LEAST_FINENESS = 0.9
_POINTS = 160
_QUALITY = 0.01
_APART = 1 / 40  # of the long side
_MIN_EIGENVALUE = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePicture:
    """A picture of something flat.

    Attributes:
        image_bgr: `(H, W, 3) uint8`, the picture alone, without what is around it.
        name: Its name, for messages.
        size_m: Its width and height, metres; None where unknown.
    """

    image_bgr: NDArray[np.uint8]
    name: str
    size_m: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_image(self.image_bgr)
        if min(self.image_bgr.shape[:2]) < LEAST_SIDE_PX:
            width, height = self.size_wh
            raise ArgumentError(
                f"the reference {self.name} of {width}x{height} is too small: {LEAST_SIDE_PX} px at least"
            )

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.image_bgr.shape[1], self.image_bgr.shape[0]

    @property
    def corners_xy(self) -> FloatArray:
        """`(4, 2)`: top left, top right, bottom right, bottom left, on the outer edge of the outer pixels."""
        right, bottom = np.array(self.size_wh) - 0.5
        return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]], np.float32)


class ReferencePatches:
    """Patches of a reference picture at several sizes, for frames that show it larger or smaller.

    Args:
        picture: The picture.
    """

    def __init__(self, picture: ReferencePicture) -> None:
        grey = np.asarray(cv2.cvtColor(picture.image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        self._middle = (np.array([picture.size_wh]) / 2).astype(np.float32)
        self._levels: list[_Level] = []
        for number in range(_MOST_LEVELS):
            scale = 0.5**number
            size_wh = tuple(max(1, round(side * scale)) for side in picture.size_wh)
            if min(size_wh) < _LEAST_LEVEL_PX and number:
                break
            small = grey if number == 0 else cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA)
            level = _Level(small, picture.size_wh)
            if len(level.xy):
                self._levels.append(level)

    def aligned(
        self,
        homography: Homography,
        values: FloatArray,
        min_correlation: float,
        max_shift_px: float,
        lens: Lens | None = None,
    ) -> tuple[FloatArray, FloatArray, int]:
        """Align the patches in a frame, from where a homography puts them.

        Args:
            homography: From pixels of the picture to undistorted pixels of the frame.
            values: `(H, W) float32`, the frame.
            min_correlation: Smallest normalised cross-correlation with the picture.
            max_shift_px: Largest distance from where the homography puts a patch.
            lens: The lens of the frame; None where pixels are undistorted.

        Returns:
            `(N, 2)` positions in the picture, and undistorted ones in the frame, of those that were found,
            and how many lie within the frame.
        """
        motion = GlobalMotion(homography, 1.0, 1.0)
        none = np.zeros((0, 2), np.float32)
        if not self._levels:
            return none, none, 0
        magnification = np.sqrt(np.abs(np.linalg.det(motion.jacobian(self._middle)[0])))
        # Patches that are larger than the frame shows them are exact; those that are smaller are not.
        fine = [one for one in self._levels if one.scale >= _LEAST_FINENESS * magnification]
        level = fine[-1] if fine else self._levels[0]
        there_xy = motion.apply(level.xy)
        start_xy = there_xy if lens is None else lens.distort(there_xy)
        limit = np.array(values.shape[::-1]) - 1 - REACH_PX
        inside = np.flatnonzero(((start_xy >= REACH_PX) & (start_xy <= limit)).all(axis=1))
        if len(inside) == 0:
            return none, none, 0
        affine = motion.jacobian(level.xy[inside]) / np.float32(level.scale)
        if lens is not None:
            affine = np.matmul(lens.distortion_jacobian(there_xy[inside]), affine)
        xy, correlation = level.pool.align(values, level.slots[inside], start_xy[inside], affine)
        good = correlation >= min_correlation
        good &= np.linalg.norm(xy - start_xy[inside], axis=1) <= max_shift_px
        (found,) = undistorted(lens, xy[good])
        return level.xy[inside[good]], found, len(inside)


class _Level:
    """Patches at one size of the picture.

    Attributes:
        scale: Its size over that of the picture.
        xy: `(N, 2)`, positions in the picture.
        pool: The patches.
        slots: `(N,)`, their slots.
    """

    def __init__(self, grey: NDArray[np.uint8], full_wh: tuple[int, int]) -> None:
        height, width = grey.shape
        self.scale = width / full_wh[0]
        apart = max(5.0, _APART * max(width, height))
        corners = cv2.goodFeaturesToTrack(grey, 2 * _POINTS, _QUALITY, apart)
        xy = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2).astype(np.float32)
        values = grey.astype(np.float32)
        limit = np.array([width, height]) - 1 - REACH_PX
        xy = xy[((xy >= REACH_PX) & (xy <= limit)).all(axis=1)]
        xy = xy[min_eigenvalue(values, xy) >= _MIN_EIGENVALUE][:_POINTS]
        self.pool = PatchPool(max(1, len(xy)))
        self.slots = self.pool.put(cut_patches(values, xy))
        stretch = np.array(full_wh, np.float32) / (width, height)
        self.xy = ((xy + 0.5) * stretch - 0.5).astype(np.float32)


def outline(homography: Homography, picture: ReferencePicture) -> FloatArray:
    """`(4, 2)`: corners of the picture in the frame, undistorted, from the top left one clockwise."""
    return warp(homography, picture.corners_xy)
