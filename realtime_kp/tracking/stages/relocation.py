"""Stage: relocation of the tracks that a scene change lost."""

from __future__ import annotations

import numpy as np

from realtime_kp.config import TrackingConfig
from realtime_kp.keypoints import Keypoints
from realtime_kp.lens import Lens
from realtime_kp.tracking.matching import distance_to_similarity, mutual_nearest_neighbours
from realtime_kp.tracking.motion import GlobalMotion, estimate_motion
from realtime_kp.tracking.stages.re_identification import return_tracks
from realtime_kp.tracking.stages.state import FloatArray, FrameState, IntArray
from realtime_kp.tracking.table import AlignedTable

_MAX_TRACKS = 600
_MIN_INLIERS = 12
_MIN_SHARE = 0.05  # a few in a corner of the picture do not tell where all others are


def relocate_after_scene_change(state: FrameState) -> None:
    """After a cut or a jump, look for all tracks from before it at once.

    Descriptors matched over the whole frame must agree on one homography; lost tracks then return where it
    puts them and where they align to their key patches.
    """
    memory, table = state.memory, state.table
    waiting = ~table.active & (table.ids <= memory.last_id_before_cut)
    if not memory.use_descriptors or not waiting.any():
        return
    seen = state.require_observation()
    asked = waiting[seen.rows]
    rows, xy = seen.rows[asked], seen.xy[asked]
    motion = motion_by_descriptors(table, rows, xy, seen.keypoints, memory.config, _MIN_SHARE, state.lens)
    if motion is None:
        return
    memory.last_id_before_cut = 0
    table.affine[rows] = np.matmul(motion.jacobian(xy), table.sure_affine[rows])
    table.xy[rows] = motion.apply(xy)
    return_tracks(state, rows, table.xy[rows])


def motion_by_descriptors(
    table: AlignedTable,
    rows: IntArray,
    xy: FloatArray,
    keypoints: Keypoints,
    config: TrackingConfig,
    min_share: float = 0.0,
    lens: Lens | None = None,
) -> GlobalMotion | None:
    """The motion from tracks to keypoints that are mutual nearest neighbours by descriptor.

    Args:
        table: The tracks.
        rows: `(R,)`, which of them.
        xy: `(R, 2)`, their positions before the motion.
        keypoints: The keypoints after it.
        config: `match_threshold`.
        min_share: Smallest share of the tracks that must agree on it.
        lens: The lens through which both were seen.

    Returns:
        The motion; None where fewer than 12 pairs agree on one.
    """
    step = max(1, len(rows) // _MAX_TRACKS)
    pairs = mutual_nearest_neighbours(
        table.descriptors[rows[::step]],
        keypoints.descriptors.astype(np.float32, copy=False),
        distance_to_similarity(config.match_threshold),
    )
    motion = estimate_motion(xy[::step][pairs.a], keypoints.xy[pairs.b], lens=lens)
    least = max(_MIN_INLIERS, min_share * len(rows[::step]))
    if motion is None or motion.inlier_share * len(pairs) < least:
        return None
    return motion
