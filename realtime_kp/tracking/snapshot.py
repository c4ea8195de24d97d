"""A tracker as bytes, to go on with in another process."""

from __future__ import annotations

import io
import pickle
from typing import Any

from realtime_kp.tracking.tracker import Tracker

# What the state of a tracker is made of. A file that somebody hands on must not run anything else.
_KNOWN = {
    "builtins": {"set", "frozenset", "slice"},
    "collections": {"Counter", "deque"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "realtime_kp.config.stages": {"TrackingConfig"},
    "realtime_kp.tracking.descriptor": {"DescriptorMethod"},
    "realtime_kp.tracking.hybrid": {"HybridMethod"},
    "realtime_kp.tracking.ledger": {"Ledger"},
    "realtime_kp.tracking.motion": {"GlobalMotion"},
    "realtime_kp.tracking.patches": {"PatchPool"},
    "realtime_kp.tracking.ring": {"Moment", "Picture", "Ring"},
    "realtime_kp.tracking.table": {"AlignedTable", "DescriptorTable"},
    "realtime_kp.tracking.tracker": {"Tracker"},
}


def save_tracker(tracker: Tracker) -> bytes:
    """Everything that the tracker knows, as it stands between two frames.

    Where keypoints came later than their frames, those frames are not kept: the next detection counts only
    if it is of a frame that follows.
    """
    return pickle.dumps(tracker, protocol=5)


def restore_tracker(state: bytes) -> Tracker:
    """The tracker that `save_tracker` was given: the same frames lead to the same tracks.

    Raises:
        ValueError: These bytes are no tracker, or one of another version.
    """
    try:
        tracker = _Unpickler(io.BytesIO(state)).load()
    except Exception as exc:  # damaged pickles fail in any way
        raise ValueError(f"no tracker can be restored: {exc}") from exc
    if not isinstance(tracker, Tracker):
        raise ValueError(f"no tracker can be restored: found {type(tracker).__name__}")
    return tracker


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in _KNOWN.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} does not belong to a tracker")
        return super().find_class(module, name)
