"""Points that were hidden for a while, and whether their tracks returned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RETURN_WITHIN = 5
RIGHT_PX = 2.0
_SEEN_BEFORE = 2


@dataclass(frozen=True, slots=True)
class Occlusions:
    """N times that the point of a track was hidden and became visible again.

    Attributes:
        rows: `(N,)`, row of the track.
        gone: `(N,)`, first frame in which its point was hidden.
        back: `(N,)`, first frame in which it was visible again.
        returned: `(N,) bool`, whether the track was seen again within five frames, at most 2 px off.
        wrong: `(N,) bool`, whether it was seen again with a larger error.
    """

    rows: NDArray[np.intp]
    gone: NDArray[np.intp]
    back: NDArray[np.intp]
    returned: NDArray[np.bool_]
    wrong: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    def outside(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`(N,) bool`: whether the point left the picture meanwhile; else something was before it.

        Args:
            inside: `(T, F) bool`, whether the point of each track lies within the picture.
        """
        spans = zip(self.rows.tolist(), self.gone.tolist(), self.back.tolist(), strict=True)
        return np.array([not inside[row, gone:back].all() for row, gone, back in spans], np.bool_)


def find_occlusions(
    errors_px: NDArray[np.floating], visible: NDArray[np.bool_], max_hidden: int
) -> Occlusions:
    """Find the times that points were hidden.

    A track counts if it was seen in one of the two frames before its point disappeared.

    Args:
        errors_px: `(T, F)`, error since birth, NaN where the track was not seen.
        visible: `(T, F)`, whether its point was visible; False before the track was first seen.
        max_hidden: Longest time that counts, in frames.

    Returns:
        Those that end at least five frames before the clip.
    """
    found: list[tuple[int, int, int, bool, bool]] = []
    change = np.diff(visible.astype(np.int8), axis=1)
    for row in np.flatnonzero((change == -1).any(axis=1)).tolist():
        for gone in (np.flatnonzero(change[row] == -1) + 1).tolist():
            later = np.flatnonzero(change[row, gone:] == 1)
            if len(later) == 0 or later[0] + 1 > max_hidden:
                continue
            back = gone + int(later[0]) + 1
            seen_before = ~np.isnan(errors_px[row, max(0, gone - _SEEN_BEFORE) : gone])
            if back + RETURN_WITHIN > visible.shape[1] or not seen_before.any():
                continue
            after = errors_px[row, back : back + RETURN_WITHIN]
            after = after[~np.isnan(after)]
            right = bool(len(after) and after[0] <= RIGHT_PX)
            found.append((row, gone, back, right, bool(len(after)) and not right))
    table = np.array(found, np.intp).reshape(-1, 5)
    return Occlusions(*table.T[:3], *table.T[3:].astype(np.bool_))
