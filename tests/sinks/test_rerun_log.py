from __future__ import annotations

from itertools import pairwise

import numpy as np

from realtime_kp.sinks.rerun_log import trail_strips


def test_trails_are_lines_without_their_gaps() -> None:
    gap = np.nan
    x = np.array(
        [
            [gap, 1, 2, 3, 4],
            [5, 6, gap, 7, 8],
            [gap, gap, gap, gap, 9],  # one position is no line
            [10, gap, 11, 12, 13],
            [gap, gap, gap, gap, gap],
        ]
    )
    points, offsets, owners = trail_strips(np.stack([x, x + 100], axis=2).astype(np.float32))
    lines = [points[first:last, 0].tolist() for first, last in pairwise(offsets)]
    assert lines == [[1, 2, 3, 4], [5, 6], [7, 8], [11, 12, 13]]
    assert owners.tolist() == [0, 1, 1, 3]
    np.testing.assert_array_equal(points[:, 1], points[:, 0] + 100)


def test_there_may_be_no_trails() -> None:
    for shape in ((0, 20, 2), (3, 1, 2)):
        points, offsets, owners = trail_strips(np.zeros(shape, np.float32))
        assert (len(points), offsets.tolist(), len(owners)) == (0, [0], 0)
