"""Stage: detection of another scene, after a cut or a cross-fade, at which all tracks are lost together."""

from __future__ import annotations

import numpy as np

from realtime_kp.tracking.stages.alignment import EDGE_PX
from realtime_kp.tracking.stages.state import FrameState

MIN_SHARE_FOUND = 0.2
_MIN_SHARE_LEFT = 0.15
_MIN_TRACKS = 30


def detect_scene_change(state: FrameState) -> None:
    """Where hardly any track was found, take the frame for another scene: all tracks are lost.

    This is a cut, a jump of the camera, or darkness; or, where hardly any of the tracks of half a second ago
    was found although they would be inside the picture, the end of a cross-fade. Without descriptors no lost
    track is kept that could tell of the latter.
    """
    memory, table = state.memory, state.table
    rows = state.active_rows
    if len(rows) and state.found[rows].mean() < MIN_SHARE_FOUND:
        _lose_up_to(state, int(table.ids[-1]))
    elif memory.use_descriptors and len(memory.seen_ids) == memory.seen_ids.maxlen:
        past = memory.seen_ids[0]
        known = np.isin(table.ids, past, assume_unique=True)
        inside = np.flatnonzero(known & state.current.inside(state.xy, EDGE_PX))
        if len(inside) >= _MIN_TRACKS and state.found[inside].mean() < _MIN_SHARE_LEFT:
            _lose_up_to(state, int(past[-1]))
    memory.seen_ids.append(table.ids[state.found])


def _lose_up_to(state: FrameState, last_id: int) -> None:
    memory = state.memory
    state.found[state.table.ids <= last_id] = False
    memory.last_id_before_cut = last_id
    memory.seen_ids.clear()
    memory.drop_structure()
