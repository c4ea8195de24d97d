from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.tracking.key_patches import cut_patches
from realtime_kp.tracking.motion import GlobalMotion
from realtime_kp.tracking.patch_sampling import SAMPLES, positions_of_samples
from realtime_kp.tracking.stages.alignment import align_to_key_patches
from realtime_kp.tracking.stages.partial_alignment import align_partly_visible
from realtime_kp.tracking.stages.prediction import predict
from realtime_kp.tracking.stages.state import FrameState
from tests.tracking.stages.prepared import SHIFT, empty_memory, next_state, shift_errors_px
from tests.tracking.world import World

BOX = (120, 60, 240, 180)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def prepared(world: World, *, structure: bool = True) -> FrameState:
    """A box is before a part of the second frame; all tracks are predicted, and aligned where they can be."""
    memory = empty_memory()
    state = next_state(world, memory, box=BOX)
    memory.has_structure = structure
    state.table.depth_variances[:] = 0
    matrix = np.array([[1.0, 0, -SHIFT[0]], [0, 1, -SHIFT[1]], [0, 0, 1]])
    state.motion = GlobalMotion(matrix, 0.1, 1.0, np.zeros(3))
    predict(state)
    align_to_key_patches(state)
    return state


def beside_box(state: FrameState, near_px: float, far_px: float) -> np.ndarray:
    """Rows at a distance from the left or right side of the box, outside; negative distances are inside."""
    x, y = state.moved_xy.T
    gap = np.maximum(BOX[0] - x, x - BOX[2])
    return (gap >= near_px) & (gap <= far_px) & (y > BOX[1] + 12) & (y < BOX[3] - 12)


def test_half_a_patch_beside_something_nearer_is_enough(world: World) -> None:
    state = prepared(world)
    asked = beside_box(state, 0, 4) & ~state.found
    assert asked.sum() >= 3
    align_partly_visible(state)
    assert state.found[asked].mean() >= 0.5
    rows = np.flatnonzero(asked & state.found)
    assert state.partial[rows].all()
    assert np.median(shift_errors_px(state, rows)) < 0.3


def test_what_is_hidden_is_not_found(world: World) -> None:
    state = prepared(world)
    hidden = beside_box(state, -60, -4)
    assert hidden.sum() >= 10
    align_partly_visible(state)
    assert state.found[hidden].mean() <= 0.05


def test_without_structure_nothing_is_tried(world: World) -> None:
    state = prepared(world, structure=False)
    before = state.found.copy()
    align_partly_visible(state)
    assert (state.found == before).all()


def test_a_part_of_a_patch_is_aligned_although_the_rest_is_covered(world: World) -> None:
    memory = empty_memory()
    state = next_state(world)
    grey, places = state.current.values, state.table.xy - np.array(SHIFT, np.float32)
    xy = places[state.current.inside(places, 30)][::20][:3].astype(np.float32)
    slots = memory.patches.put(cut_patches(grey, xy))
    covered = grey.copy()
    for x, y in xy.astype(int):
        covered[y - 20 : y + 20, x + 5 : x + 20] = 30
    upright = np.tile(np.eye(2, dtype=np.float32), (3, 1, 1))
    left = np.tile((np.arange(SAMPLES) % 11 <= 6).astype(np.float32), (3, 1))
    start = xy + np.array([0.5, -0.4], np.float32)
    found, correlation = memory.patches.align_parts(covered, slots, start, upright, left)
    np.testing.assert_allclose(found, xy, atol=0.15)
    assert (correlation > 0.95).all()
    _, whole_correlation = memory.patches.align(covered, slots, start, upright)
    assert (whole_correlation < 0.87).all()


def test_samples_lie_around_their_position() -> None:
    x, y = positions_of_samples(np.array([[50, 40]], np.float32), np.eye(2, dtype=np.float32)[None])
    assert (x.mean(), y.mean()) == pytest.approx((50, 40), abs=1e-4)
    assert (x.min(), x.max()) == pytest.approx((41.25, 58.75))
