"""The pose of a reference picture of known size, seen through a known lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.lens import Lens
from realtime_kp.reference.picture import FloatArray, ReferencePicture

Vector = NDArray[np.float64]


def pose_of(
    picture: ReferencePicture, corners_xy: FloatArray, lens: Lens | None
) -> tuple[Vector | None, Vector | None]:
    """Rotation vector and translation from a picture to the camera; see `ReferencePose`.

    By the analytic solution for planes (Collins and Bartoli, Infinitesimal plane-based pose estimation, IJCV
    2014), of whose two solutions OpenCV takes the one with the smaller reprojection error.

    Args:
        picture: The picture, with its size in metres.
        corners_xy: `(4, 2)`, its corners in undistorted pixels, the top left one first, then clockwise.
        lens: The lens.

    Returns:
        Two `(3,)` vectors, radians and metres; None where the lens or the size of the picture is unknown.
    """
    if lens is None or picture.size_m is None:
        return None, None
    x, y = (side / 2 for side in picture.size_m)
    corners_m = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
    image_xy = corners_xy.astype(np.float64)[:, None]
    solved, rotation, translation = cv2.solvePnP(
        corners_m[:, None], image_xy, lens.matrix, None, flags=cv2.SOLVEPNP_IPPE
    )
    if not solved:
        return None, None
    return np.asarray(rotation, np.float64).ravel(), np.asarray(translation, np.float64).ravel()
