"""Calibration of a lens from views of a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import SourceError, first_line
from realtime_kp.lens.board import BoardView
from realtime_kp.lens.distortion import LensModel
from realtime_kp.lens.model import Lens

LEAST_VIEWS = 8
_NEW_SHARE = 0.06  # of the picture's diagonal, that some corner of the board must have moved
_CELLS_WH = (8, 6)
_LEAST_COVERAGE = 0.3
_LEAST_TILT_DEGREES = 15.0
_MAX_FOCAL_SIGMA = 0.01
_OUTLIER = 3.0
_WORST_PX = 2.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """A lens that was found.

    Attributes:
        lens: The lens.
        error_px: Root mean square of the reprojection errors, pixels.
        views: Number of views that it was found from.
        focal_sigma_px: Standard deviation of the focal length, pixels; None where it is not known.
    """

    lens: Lens
    error_px: float
    views: int
    focal_sigma_px: float | None


class ViewCollector:
    """Keeps views of a board that differ from each other.

    Attributes:
        views: The views so far.
    """

    def __init__(self) -> None:
        self.views: list[BoardView] = []

    def add(self, view: BoardView) -> bool:
        """Keep a view if the board has moved since all others; whether it was kept."""
        least_px = _NEW_SHARE * float(np.hypot(*view.size_wh))
        if any(np.abs(view.outline_xy - other.outline_xy).max() < least_px for other in self.views):
            return False
        self.views.append(view)
        return True

    @property
    def coverage(self) -> float:
        """Share of the picture, in cells of 8 by 6, in which corners were seen."""
        return float(self.covered.mean())

    @property
    def covered(self) -> NDArray[np.bool_]:
        """`(6, 8) bool`: cells of the picture in which corners were seen."""
        return covered_cells(self.views)


def covered_cells(views: Sequence[BoardView]) -> NDArray[np.bool_]:
    """`(6, 8) bool`: cells of the picture in which some view shows corners."""
    columns, rows = _CELLS_WH
    covered = np.zeros((rows, columns), np.bool_)
    for view in views:
        cells = (view.image_xy + 0.5) / np.array(view.size_wh) * _CELLS_WH
        x, y = np.clip(cells.astype(int), 0, np.array(_CELLS_WH) - 1).T
        covered[y, x] = True
    return covered


def calibrate(views: Sequence[BoardView], model: LensModel) -> Calibration:
    """Find the lens that explains all views best; views that disagree with the others are left out.

    Zhang, A flexible new technique for camera calibration, TPAMI 2000, as OpenCV implements it.

    Args:
        views: Views of one board, in pictures of one size.
        model: Which lens to fit.

    Raises:
        SourceError: The views are too few, or too much alike to tell the lens.
    """
    _check_views(views)
    found, errors_px = _fitted(views, model)
    good = errors_px <= max(_OUTLIER * float(np.median(errors_px)), 0.1)
    if not good.all() and good.sum() >= LEAST_VIEWS:
        found, errors_px = _fitted(
            [view for view, is_good in zip(views, good, strict=True) if is_good], model
        )
    if found.error_px > _WORST_PX:
        raise SourceError(
            f"no {model} lens explains these views: they are off by {found.error_px:.1f} px; is the "
            "number of corners right, the board flat, the picture sharp?"
        )
    if found.focal_sigma_px is not None and found.focal_sigma_px > _MAX_FOCAL_SIGMA * found.lens.focal_xy[0]:
        raise SourceError(
            f"the views are too much alike: the focal length of {found.lens.focal_xy[0]:.0f} px is known to "
            f"{found.focal_sigma_px:.0f} px only; tilt the board, come nearer, and show it in the corners"
        )
    return found


def _check_views(views: Sequence[BoardView]) -> None:
    if len(views) < LEAST_VIEWS:
        raise SourceError(
            f"{len(views)} views of the board are too few, {LEAST_VIEWS} at least are needed: show it at "
            "other places and angles, all corners in the picture"
        )
    coverage = float(covered_cells(views).mean())
    if coverage < _LEAST_COVERAGE:
        raise SourceError(
            f"the board was seen in {coverage:.0%} of the picture only, {_LEAST_COVERAGE:.0%} are "
            "needed: show it in the corners too, and nearer"
        )


def _fitted(views: Sequence[BoardView], model: LensModel) -> tuple[Calibration, NDArray[np.float64]]:
    """The lens, and `(V,)`: root mean square error of each view, pixels."""
    try:
        if model == "fisheye":
            matrix, coefficients, rotations, shifts, sigma_px = _fisheye(views)
        else:
            matrix, coefficients, rotations, shifts, sigma_px = _radial(views)
    except cv2.error as exc:
        raise SourceError(f"these views tell no {model} lens: {first_line(exc)}") from exc
    _check_tilts(rotations)
    (fx, fy), centre = (matrix[0, 0], matrix[1, 1]), (matrix[0, 2], matrix[1, 2])
    lens = Lens(
        views[0].size_wh,
        (float(fx), float(fy)),
        (float(centre[0]), float(centre[1])),
        tuple(float(value) for value in coefficients.ravel()),
        model,
    )
    gaps = [
        np.linalg.norm(_seen(lens, view, *pose) - view.image_xy, axis=1)
        for view, pose in zip(views, zip(rotations, shifts, strict=True), strict=True)
    ]
    errors_px = np.array([np.sqrt(np.mean(gap**2)) for gap in gaps])
    error_px = float(np.sqrt(np.mean(np.concatenate(gaps) ** 2)))
    return Calibration(lens, error_px, len(views), sigma_px), errors_px


_Fit = tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    Sequence[NDArray[np.float64]],
    Sequence[NDArray[np.float64]],
    float | None,
]


def _radial(views: Sequence[BoardView]) -> _Fit:
    board, image = [view.board_m for view in views], [view.image_xy for view in views]
    found = cv2.calibrateCameraExtended(board, image, views[0].size_wh, np.eye(3), np.zeros(5))
    _, matrix, coefficients, rotations, shifts, sigmas, _, _ = found
    return np.asarray(matrix), np.asarray(coefficients), rotations, shifts, float(sigmas[0, 0])


def _fisheye(views: Sequence[BoardView]) -> _Fit:
    board = [view.board_m.astype(np.float64)[None] for view in views]
    image = [view.image_xy.astype(np.float64)[None] for view in views]
    flags = cv2.CALIB_RECOMPUTE_EXTRINSIC | cv2.CALIB_FIX_SKEW
    _, matrix, coefficients, rotations, shifts = cv2.fisheye.calibrate(
        board, image, views[0].size_wh, np.eye(3), np.zeros(4), flags=flags
    )
    return np.asarray(matrix), np.asarray(coefficients), rotations, shifts, None


def _check_tilts(rotations: Sequence[NDArray[np.float64]]) -> None:
    """Refuse views that all show the board from the same side: they do not tell the focal length."""
    normals = np.stack([cv2.Rodrigues(np.asarray(rotation).ravel())[0][:, 2] for rotation in rotations])
    widest = float(np.degrees(np.arccos(np.clip((normals @ normals.T).min(), -1, 1))))
    if widest < _LEAST_TILT_DEGREES:
        raise SourceError(
            f"the views are too much alike: the board turns by {widest:.0f} degrees only; tilt it"
        )


def _seen(
    lens: Lens, view: BoardView, rotation: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float64]:
    turn, _ = cv2.Rodrigues(np.asarray(rotation).ravel())
    points = view.board_m.astype(np.float64) @ np.asarray(turn).T + np.asarray(shift).ravel()
    normalised = points[:, :2] / points[:, 2:]
    return np.asarray(lens.distort(normalised * lens.focal_xy + lens.centre_xy), np.float64)
