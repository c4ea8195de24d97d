"""Finds a reference picture in detections, and follows it in every frame."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, ReferencePose, Tracks
from realtime_kp.lens import Lens
from realtime_kp.reference.picture import FloatArray, Homography, ReferencePatches, ReferencePicture, outline
from realtime_kp.reference.pose import pose_of
from realtime_kp.reference.views import DescribedReference
from realtime_kp.tracking.matching import distance_to_similarity, mutual_nearest_neighbours
from realtime_kp.tracking.motion import estimate_motion, undistorted
from realtime_kp.tracking.usac import usac_fit

_MATCH_DISTANCE = 0.7
_MOST_KEYPOINTS = 800
_MATCH_PX, _MIN_MATCHES = 4.0, 12
# Each round of alignment: smallest correlation, largest shift and largest residual, pixels.
_ROUNDS = ((0.65, 4.0, 3.0), (0.75, 3.0, 1.5), (0.8, 2.0, 1.0))
_SHRUNK = (4, 2)  # where the picture has moved farther than alignment reaches
_SHRUNK_ROUND = (0.6, 4.0, 2.0)
_MIN_FOUND, _MIN_SHARE = 12, 0.2
_MIN_SPREAD = 0.02  # area of the hull of the patches that were found, of the picture's
_PREDICTED_FRAMES = 10
_HISTORY = 100
_NEAR = 0.25  # how far around the outline tracks count, of its long side
_SMALLEST_AREA = 0.0005  # of the frame


@dataclass(frozen=True, slots=True)
class _Past:
    """Where the tracks were in a frame."""

    index: int
    ids: NDArray[np.int64]
    xy: FloatArray


class ReferenceFinder:
    """Where a reference picture is in each frame.

    In a detection it is found by descriptors that agree on one homography (MAGSAC). From frame to frame its
    homography is carried on by the tracks around it; in every frame 160 patches of the picture are aligned
    where that puts them, and the homography is fitted to them: it does not drift, and is exact to a fraction
    of a pixel. What the patches do not confirm is not reported. Where frames have a lens, all of it is done
    with undistorted positions.
    """

    def __init__(self) -> None:
        self._reference: DescribedReference | None = None
        self._patches: ReferencePatches | None = None
        self._homography: Homography | None = None
        self._unseen = 0
        self._history: deque[_Past] = deque(maxlen=_HISTORY)
        self._lens: Lens | None = None

    def use(self, reference: DescribedReference | None) -> None:
        """Look for this reference picture from now on; None looks for none."""
        before = None if self._reference is None else self._reference.picture
        self._reference = reference
        if reference is None or reference.picture is not before:
            self._homography = None
            self._patches = None if reference is None else ReferencePatches(reference.picture)

    def update(self, frame: Frame, tracks: Tracks, detection: Keypoints | None) -> ReferencePose | None:
        """Find the picture in a frame.

        Args:
            frame: The frame.
            tracks: All tracks in it.
            detection: A detection that came with it, of this frame or of an earlier one.

        Returns:
            Where it is; None without a reference picture.
        """
        shown = tracks.seen_confirmed
        self._lens = frame.lens
        now = _Past(frame.index, shown.ids, shown.xy)
        if self._history and frame.index <= self._history[-1].index:
            self._history.clear()
            self._homography = None
        before = self._history[-1] if self._history else None
        self._history.append(now)
        if self._reference is None or self._patches is None:
            return None
        values = np.asarray(cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2GRAY), np.float32)
        found = None
        if self._homography is not None:
            predicted = self._carried(self._homography, before, now)
            found = self._confirmed(predicted, values) or self._confirmed(predicted, values, _SHRUNK)
            self._homography = predicted
        if found is None and detection is not None and len(detection):
            found = self._detected(detection, now, values)
        if found is None:
            self._unseen += 1
            if self._unseen > _PREDICTED_FRAMES:
                self._homography = None
            return ReferencePose(False, 0)
        self._homography, count = found
        self._unseen = 0
        corners_xy = outline(self._homography, self._reference.picture)
        rotation, translation_m = pose_of(self._reference.picture, corners_xy, frame.lens)
        shown_xy = corners_xy if frame.lens is None else frame.lens.distort(corners_xy)
        return ReferencePose(True, count, self._homography, shown_xy, rotation, translation_m)

    def _carried(self, homography: Homography, before: _Past | None, now: _Past) -> Homography:
        """The homography of a past frame, carried on by the tracks at and around the picture."""
        if before is None or before is now or self._reference is None:
            return homography
        _, rows, past_rows = np.intersect1d(now.ids, before.ids, assume_unique=True, return_indices=True)
        corners = outline(homography, self._reference.picture)
        reach = _NEAR * float(np.ptp(corners, axis=0).max())
        old_xy, new_xy = undistorted(self._lens, before.xy[past_rows], now.xy[rows])
        low, high = corners.min(axis=0) - reach, corners.max(axis=0) + reach
        near = ((old_xy >= low) & (old_xy <= high)).all(axis=1)
        on_it = _inside(corners, old_xy)
        chosen = on_it if on_it.sum() >= _MIN_FOUND else near
        motion = estimate_motion(old_xy[chosen], new_xy[chosen])
        return homography if motion is None else np.asarray(motion.matrix @ homography)

    def _detected(
        self, detection: Keypoints, now: _Past, values: FloatArray
    ) -> tuple[Homography, int] | None:
        """The picture by the descriptors of a detection, confirmed in the newest frame."""
        index = now.index if detection.frame_index is None else detection.frame_index
        past = next((one for one in self._history if one.index == index), None)
        assert self._reference is not None
        (xy,) = undistorted(self._lens, detection.xy)
        matched = match_views(self._reference, replace(detection, xy=xy))
        if matched is None:
            return None
        return self._confirmed(self._carried(matched, past, now), values, _SHRUNK)

    def _confirmed(
        self, homography: Homography, values: FloatArray, shrunk: tuple[int, ...] = ()
    ) -> tuple[Homography, int] | None:
        """The homography fitted to aligned patches, and how many agree; None where too few do.

        Args:
            homography: Where to begin.
            values: `(H, W) float32`, the frame.
            shrunk: Align in smaller copies of the frame first, by these factors: for farther motion.
        """
        assert self._patches is not None
        assert self._reference is not None
        for factor in shrunk:
            step = self._round(homography, values, _SHRUNK_ROUND, factor)
            homography = homography if step is None else step[0]
        count, inliers_xy = 0, np.zeros((0, 2), np.float32)
        for one in _ROUNDS:
            step = self._round(homography, values, one)
            if step is None:
                return None
            homography, inliers_xy = step
            count = len(inliers_xy)
        if not _spread(inliers_xy, self._reference.picture):
            return None
        return (homography, count) if _plausible(homography, self._reference.picture, values.shape) else None

    def _round(
        self, homography: Homography, values: FloatArray, limits: tuple[float, float, float], factor: int = 1
    ) -> tuple[Homography, FloatArray] | None:
        """One round of alignment: the homography, and the patches that agree; None where too few do."""
        assert self._patches is not None
        assert self._reference is not None
        if not _plausible(homography, self._reference.picture, values.shape):
            return None
        min_correlation, max_shift_px, residual_px = limits
        small, shrinking = _smaller(values, factor)
        lens = None if self._lens is None else self._lens.stretched((small.shape[1], small.shape[0]))
        xy, there, tried = self._patches.aligned(
            shrinking @ homography, small, min_correlation, max_shift_px, lens
        )
        if len(xy) < _MIN_FOUND:
            return None
        fitted, inliers = usac_fit(
            cv2.findHomography, xy, there, residual_px, confidence=0.999, iterations=500
        )
        if fitted is None or inliers.sum() < max(_MIN_FOUND, _MIN_SHARE * tried):
            return None
        refined, _ = cv2.findHomography(xy[inliers], there[inliers], 0)
        best = np.asarray(fitted if refined is None else refined, np.float64)
        return np.asarray(np.linalg.inv(shrinking) @ best), xy[inliers]


def _smaller(values: FloatArray, factor: int) -> tuple[FloatArray, Homography]:
    """A frame shrunk by a factor, and the map from its pixels to those of the shrunk one."""
    if factor == 1:
        return values, np.eye(3)
    height, width = values.shape
    size_wh = max(1, width // factor), max(1, height // factor)
    small = np.asarray(cv2.resize(values, size_wh, interpolation=cv2.INTER_AREA), np.float32)
    x, y = size_wh[0] / width, size_wh[1] / height
    return small, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def match_views(reference: DescribedReference, detection: Keypoints) -> Homography | None:
    """Homography from a reference picture to a frame by the descriptors of its keypoints.

    Args:
        reference: The picture; of its views the one with the most matches that agree counts.
        detection: Keypoints of the frame.

    Returns:
        `(3, 3)`; None where fewer than 12 matches agree on one.
    """
    found, most = None, _MIN_MATCHES - 1
    keypoints = detection.top(_MOST_KEYPOINTS)
    descriptors = keypoints.descriptors.astype(np.float32, copy=False)
    for view in reference.views:
        if view.descriptors.shape[1] != descriptors.shape[1]:
            continue
        pairs = mutual_nearest_neighbours(
            view.descriptors, descriptors, distance_to_similarity(_MATCH_DISTANCE)
        )
        if len(pairs) <= most:
            continue
        xy, there = view.xy[pairs.a], keypoints.xy[pairs.b]
        matrix, inliers = usac_fit(
            cv2.findHomography, xy, there, _MATCH_PX, confidence=0.999, iterations=2000
        )
        if matrix is not None and inliers.sum() > most:
            found, most = matrix, int(inliers.sum())
    return found


def _inside(corners: FloatArray, xy: FloatArray) -> NDArray[np.bool_]:
    """Which positions `(N, 2)` lie within a convex outline `(4, 2)`."""
    edges = np.roll(corners, -1, axis=0) - corners
    to_points = xy[:, None] - corners
    side = edges[:, 0] * to_points[..., 1] - edges[:, 1] * to_points[..., 0]
    return np.asarray((side >= 0).all(axis=1) | (side <= 0).all(axis=1))


def _spread(xy: FloatArray, picture: ReferencePicture) -> bool:
    width, height = picture.size_wh
    return bool(cv2.contourArea(cv2.convexHull(xy)) >= _MIN_SPREAD * width * height)


def _plausible(homography: Homography, picture: ReferencePicture, shape: tuple[int, ...]) -> bool:
    """Whether the outline is convex, not mirrored, not behind the camera, and large enough to be seen."""
    if not np.isfinite(homography).all():
        return False
    corners = picture.corners_xy
    depth = corners @ homography[2, :2] + homography[2, 2]
    if not ((depth > 0).all() or (depth < 0).all()):
        return False
    there = outline(homography, picture).astype(np.float64)
    edges = np.roll(there, -1, axis=0) - there
    turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1] - edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
    area = float(cv2.contourArea(there.astype(np.float32)))
    return bool((turns > 0).all() and area >= _SMALLEST_AREA * shape[0] * shape[1])
