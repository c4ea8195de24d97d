"""Serialisation of a tracker, so that another process can continue with it."""

from __future__ import annotations

import io
import pickle
from typing import Any

from realtime_kp.tracking.tracker import Tracker

# The only classes that a saved tracker may hold: a pickle from elsewhere must not run any other code.
_KNOWN = {
    "builtins": {"set", "frozenset", "slice"},
    "collections": {"Counter", "deque"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "realtime_kp.config.stages": {"TrackingConfig"},
    "realtime_kp.lens.model": {"Lens"},
    "realtime_kp.tracking.descriptor_method": {"DescriptorMethod"},
    "realtime_kp.tracking.history": {"GreyFrame", "History", "PastFrame"},
    "realtime_kp.tracking.hybrid_method": {"HybridMethod"},
    "realtime_kp.tracking.key_patches": {"KeyPatches"},
    "realtime_kp.tracking.motion": {"GlobalMotion"},
    "realtime_kp.tracking.patch_pool": {"PatchPool"},
    "realtime_kp.tracking.query_points": {"QueryPoint", "QueryPoints", "Surroundings"},
    "realtime_kp.tracking.stages.state": {"Anchor", "Memory", "ReturnRate"},
    "realtime_kp.tracking.table": {"AlignedTable", "DescriptorTable"},
    "realtime_kp.tracking.track_registry": {"TrackRegistry"},
    "realtime_kp.tracking.tracker": {"Tracker"},
}


def save_tracker(tracker: Tracker) -> bytes:
    """The complete state of a tracker between two frames.

    Of the history only the newest frame is kept: a detection of an earlier frame is dropped after restoring.
    """
    return pickle.dumps(tracker, protocol=5)


def restore_tracker(state: bytes) -> Tracker:
    """Restore a saved tracker; the same further frames give the same tracks.

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
