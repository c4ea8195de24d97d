"""States to run single stages on: tracks that were started in one view of the textured world."""

from __future__ import annotations

import numpy as np

from realtime_kp import Keypoints
from realtime_kp.config import TrackingConfig
from realtime_kp.tracking.history import GreyFrame, History
from realtime_kp.tracking.patch_pool import PatchPool
from realtime_kp.tracking.stages.birth import start_tracks
from realtime_kp.tracking.stages.confirmation import observe
from realtime_kp.tracking.stages.life_cycle import record_history
from realtime_kp.tracking.stages.state import FrameState, Memory
from realtime_kp.tracking.table import AlignedTable
from realtime_kp.tracking.track_registry import TrackRegistry
from tests.tracking.world import ORIGIN, World

SHIFT = (4.0, 2.0)
MOVED = (ORIGIN[0] + SHIFT[0], ORIGIN[1] + SHIFT[1])


def empty_memory(*, use_descriptors: bool = True, **settings: int) -> Memory:
    table = AlignedTable.with_patches(np.zeros(0, np.int64), Keypoints.empty(64), np.zeros(0, np.intp), 5)
    config = TrackingConfig(**settings)  # type: ignore[arg-type]
    return Memory(config, TrackRegistry(), table, PatchPool(), History(config.history), use_descriptors)


def first_state(world: World, memory: Memory) -> FrameState:
    """The first frame with its detection, before any track."""
    state = FrameState(memory, None, GreyFrame.of(world.frame(0)), keypoints=world.keypoints())
    record_history(state)
    observe(state)
    return state


def next_state(
    world: World,
    memory: Memory | None = None,
    corner: tuple[float, float] = MOVED,
    keypoints: Keypoints | None = None,
    box: tuple[int, int, int, int] | None = None,
) -> FrameState:
    """The second frame, seen from elsewhere, with the tracks of the first one."""
    memory = empty_memory() if memory is None else memory
    first = first_state(world, memory)
    start_tracks(first)
    current = GreyFrame.of(world.frame(1, corner, box))
    return FrameState(memory, first.current, current, 1, keypoints)


def shift_errors_px(state: FrameState, rows: np.ndarray, shift: tuple[float, float] = SHIFT) -> np.ndarray:
    """Distance of positions from those in the table, moved against the camera."""
    return np.linalg.norm(state.xy[rows] - state.table.xy[rows] + np.array(shift, np.float32), axis=1)
