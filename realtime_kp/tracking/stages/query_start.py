"""Stage: start of the points that the user asked for."""

from __future__ import annotations

import logging

import numpy as np

from realtime_kp.frame import masked_out
from realtime_kp.keypoints import Keypoints, TrackState
from realtime_kp.tracking.history import PastFrame
from realtime_kp.tracking.patch_sampling import min_eigenvalue
from realtime_kp.tracking.query_points import QueryPoint
from realtime_kp.tracking.stages.alignment import EDGE_PX
from realtime_kp.tracking.stages.birth import append_tracks
from realtime_kp.tracking.stages.late_detection import carry
from realtime_kp.tracking.stages.state import FloatArray, FrameState

log = logging.getLogger(__name__)

# A tenth of what tracks need that start by themselves: whoever names a point wants that one.
_MIN_EIGENVALUE = 60.0


def start_query_points(state: FrameState) -> None:
    """Start the points whose frame has come; what cannot be followed is refused with the reason."""
    queries, frame = state.memory.queries, state.frame
    if not queries.pending or frame is None:
        return
    for query in queries.take_due(frame):
        reason = _start(state, query)
        if reason is not None:
            queries.refusals.append(f"{query} is {reason}")
            log.warning("%s is %s: it is not followed", query, reason)


def _start(state: FrameState, query: QueryPoint) -> str | None:
    """Start one point; the reason where that is not possible."""
    current, xy = state.current, np.array([query.xy], np.float32)
    past, history = None, state.memory.history
    # One that was dropped since the frame before this one: the point starts here.
    if query.frame is not None and query.frame < current.index and query.frame <= history.newest_index:
        past = history.find(query.frame)
        if past is None:
            return f"in frame {query.frame}, which was not seen or is no longer remembered"
    grey = current.grey if past is None else past.grey
    values = grey.astype(np.float32)
    height, width = grey.shape
    if not ((xy >= 0) & (xy <= (width - 1, height - 1))).all():
        return f"outside the picture of {width}x{height}"
    if not current.inside(xy, EDGE_PX).all():
        return f"less than {EDGE_PX:g} px from the edge of the picture"
    if min_eigenvalue(values, xy)[0] < _MIN_EIGENVALUE:
        return "on a flat surface or a straight edge"
    there = xy if past is None else _carried(state, past, xy)
    if there is None:
        return f"no longer found since frame {query.frame}"
    if masked_out(state.mask, there)[0]:
        return "masked out"
    _append(state, query, values, xy, there)
    return None


def _carried(state: FrameState, past: PastFrame, xy: FloatArray) -> FloatArray | None:
    there, good = carry(state, past, xy)
    return there if good[0] and state.current.inside(there, EDGE_PX)[0] else None


def _append(
    state: FrameState, query: QueryPoint, values: FloatArray, xy: FloatArray, there: FloatArray
) -> None:
    table = state.table
    length = table.descriptors.shape[1]
    start = Keypoints(xy, np.zeros(1, np.float32), np.zeros((1, length), np.float32))
    append_tracks(state, start, values, there, detections=0, ids=np.array([query.id], np.int64))
    table.pinned[-1], table.states[-1] = True, TrackState.CONFIRMED
    # Its id is older than those of tracks that have started since it was asked for.
    table.keep_rows(np.argsort(table.ids, kind="stable"))
    state.memory.queries.names[query.id] = query.name
