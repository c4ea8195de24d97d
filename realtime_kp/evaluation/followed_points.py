"""The tracks of a clip beside the true positions of their points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Tracks, TrackState
from realtime_kp.sources import KnownScene

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FollowedPoints:
    """T tracks in F frames; the truth of each starts at the position at which it was first seen.

    Attributes:
        xy: `(T, F, 2) float32`, positions of the tracks, those predicted while a track was lost included;
            NaN where the tracker gave none.
        seen: `(T, F) bool`, whether the track was seen.
        truth_xy: `(T, F, 2) float32`, positions of its point; NaN before the track was first seen.
        visible: `(T, F) bool`, whether the scene shows its point there; False before it was first seen.
        births: `(T,)`, frame in which it was first seen.
        size_wh: Width and height of the frames in pixels.
    """

    xy: FloatArray
    seen: Mask
    truth_xy: FloatArray
    visible: Mask
    births: NDArray[np.intp]
    size_wh: tuple[int, int]

    @property
    def errors_px(self) -> FloatArray:
        """`(T, F)`: distance from the truth; NaN where the track was not seen."""
        distance = np.linalg.norm(self.xy - self.truth_xy, axis=2)
        return np.where(self.seen, distance, np.nan).astype(np.float32)

    @property
    def inside(self) -> Mask:
        """`(T, F) bool`: whether the point lies within the picture, in front of or behind anything."""
        far = np.array(self.size_wh) - 1
        return np.asarray(((self.truth_xy >= 0) & (self.truth_xy <= far)).all(axis=2))


class PositionRecord:
    """Collects the positions of the tracks of a clip."""

    def __init__(self) -> None:
        self._ids: list[NDArray[np.int64]] = []
        self._xy: list[FloatArray] = []
        self._seen: list[Mask] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, tracks: Tracks) -> None:
        """Add the tracks of the next frame; tentative ones are left out."""
        known = tracks.where(tracks.states != TrackState.TENTATIVE)
        self._ids.append(known.ids)
        self._xy.append(known.xy)
        self._seen.append(known.seen & (known.states == TrackState.CONFIRMED))

    def seen_in(self, number: int) -> tuple[NDArray[np.int64], FloatArray]:
        """Ids and positions of the tracks seen in a frame."""
        seen = self._seen[number]
        return self._ids[number][seen], self._xy[number][seen]

    def against(self, scene: KnownScene, every: int) -> FollowedPoints:
        """All tracks that were seen at least once, beside the truth.

        Args:
            scene: The scene that the clip shows.
            every: Step between the frames of the scene that the clip shows.
        """
        count = len(self._ids)
        frames = np.repeat(np.arange(count), [len(ids) for ids in self._ids])
        _, rows = np.unique(np.concatenate(self._ids), return_inverse=True)
        tracks = int(rows.max()) + 1
        xy = np.full((tracks, count, 2), np.nan, np.float32)
        seen = np.zeros((tracks, count), np.bool_)
        xy[rows, frames], seen[rows, frames] = np.concatenate(self._xy), np.concatenate(self._seen)
        ever = seen.any(axis=1)
        xy, seen = xy[ever], seen[ever]
        births = seen.argmax(axis=1)
        truth_xy, visible = np.full_like(xy, np.nan), np.zeros_like(seen)
        for born in np.unique(births).tolist():
            same = np.flatnonzero(births == born)
            for j in range(born, count):
                truth_xy[same, j], visible[same, j] = scene.truth(born * every, j * every, xy[same, born])
        return FollowedPoints(xy, seen, truth_xy, visible, births, scene.size_wh)


def share(mask: Mask) -> float:
    """Share of True, 0 where there is nothing."""
    return float(mask.mean()) if mask.size else 0.0
