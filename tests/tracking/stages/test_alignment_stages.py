from __future__ import annotations

import numpy as np
import pytest

from realtime_kp.keypoints import TrackState
from realtime_kp.tracking.history import GreyFrame
from realtime_kp.tracking.motion import STILL, GlobalMotion
from realtime_kp.tracking.stages.alignment import adapt_affine_maps, align_to_key_patches
from realtime_kp.tracking.stages.flow_fallback import follow_by_optical_flow
from realtime_kp.tracking.stages.global_motion import estimate_global_motion
from realtime_kp.tracking.stages.outlier_rejection import reject_duplicates, reject_motion_outliers
from realtime_kp.tracking.stages.prediction import predict
from realtime_kp.tracking.stages.return_by_prediction import find_lost_by_prediction
from realtime_kp.tracking.stages.scene_change import detect_scene_change
from realtime_kp.tracking.stages.state import FrameState
from tests.tracking.stages.prepared import MOVED, SHIFT, empty_memory, next_state, shift_errors_px
from tests.tracking.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def translation(x: float, y: float) -> GlobalMotion:
    return GlobalMotion(np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]]), 0.1, 1.0)


def visible(state: FrameState) -> np.ndarray:
    """Rows that the second view still shows."""
    return np.flatnonzero(state.current.inside(state.table.xy - np.array(SHIFT, np.float32), 10))


@pytest.mark.parametrize("last", [None, translation(-4, -2), translation(30, 0)])
def test_global_motion_is_found_whatever_the_last_one_was(world: World, last: GlobalMotion | None) -> None:
    memory = empty_memory()
    memory.motion = last
    state = next_state(world, memory)
    estimate_global_motion(state)
    assert state.motion is not None
    corners = np.array([[20, 20], [300, 20], [160, 200]], np.float32)
    np.testing.assert_allclose(state.motion.apply(corners) - corners, [[-4, -2]] * 3, atol=0.3)


def test_too_few_tracks_tell_no_global_motion(world: World) -> None:
    state = next_state(world, empty_memory(max_tracks=4))
    estimate_global_motion(state)
    assert len(state.table) <= 4
    assert state.motion is None


def test_prediction_adds_residual_motion_only_where_it_is_noticeable(world: World) -> None:
    state = next_state(world)
    state.motion = translation(-4, -2)
    state.table.residual_motion[0] = (5, 0)
    state.table.residual_motion[1] = (0.4, 0)
    predict(state)
    offset = state.xy - state.table.xy
    np.testing.assert_allclose(offset[0], (1, -2), atol=1e-4)
    np.testing.assert_allclose(offset[1], (-4, -2), atol=1e-4)


def test_without_a_global_motion_velocity_predicts(world: World) -> None:
    state = next_state(world)
    state.table.velocity[:] = (3, 1)
    predict(state)
    np.testing.assert_allclose(state.xy - state.table.xy, np.tile([3, 1], (len(state.table), 1)), atol=1e-4)


def test_alignment_reaches_a_fraction_of_a_pixel_from_a_prediction_nearby(world: World) -> None:
    state = next_state(world)
    state.motion = translation(-5.2, -1.1)
    predict(state)
    align_to_key_patches(state)
    rows = np.flatnonzero(state.found)
    assert len(rows) > 0.8 * len(visible(state))
    assert np.percentile(shift_errors_px(state, rows), 95) < 0.5


def test_optical_flow_follows_what_is_too_far_from_its_prediction(world: World) -> None:
    state = next_state(world)
    state.motion = STILL
    predict(state)
    align_to_key_patches(state)
    aligned = int(state.found.sum())
    follow_by_optical_flow(state)
    assert state.found.sum() > aligned + 50
    assert state.found.sum() > 0.8 * len(visible(state))
    assert np.percentile(shift_errors_px(state, np.flatnonzero(state.found)), 90) < 0.5


def test_a_single_deviating_track_is_rejected_and_a_group_is_kept(world: World) -> None:
    state = next_state(world)
    state.motion = STILL
    state.moved_xy, state.xy = state.table.xy, state.table.xy.copy()
    state.found[:] = True
    group = np.argsort(np.linalg.norm(state.xy - state.xy.mean(axis=0), axis=1))[:4]
    alone = int(np.argmax(np.linalg.norm(state.xy - state.xy[group].mean(axis=0), axis=1)))
    state.xy[group] += (8, 0)
    state.xy[alone] += (0, 8)
    reject_motion_outliers(state)
    assert not state.found[alone]
    assert state.found[group].all()
    assert state.found.sum() == len(state.found) - 1


def test_of_two_tracks_at_one_position_the_younger_ends(world: World) -> None:
    state = next_state(world)
    state.xy = state.table.xy.copy()
    state.found[:] = True
    state.xy[7] = state.xy[3] + 0.5
    reject_duplicates(state)
    assert state.duplicate[7]
    assert not state.found[7]
    assert state.found[3]


def test_affine_maps_follow_a_scale_change_in_turn(world: World) -> None:
    state = next_state(world, corner=(100.0, 100.0))
    state.affine = state.affine.copy()
    state.affine[:] *= 1.04
    state.xy, state.found[:] = state.table.xy.copy(), True
    adapt_affine_maps(state)
    changed = np.flatnonzero(np.abs(state.affine - 1.04 * np.eye(2)).max(axis=(1, 2)) > 1e-6)
    turn = np.arange(len(state.table))[state.current.index % 12 :: 12]
    assert set(changed) == set(turn)
    assert np.abs(np.median(state.affine[changed], axis=0) - np.eye(2)).max() < 0.02


def test_another_scene_loses_all_tracks_and_is_remembered(world: World) -> None:
    state = next_state(world)
    state.found[:3] = True
    detect_scene_change(state)
    assert not state.found.any()
    assert state.memory.last_id_before_cut == state.table.ids[-1]


def test_a_scene_that_goes_on_is_no_scene_change(world: World) -> None:
    state = next_state(world)
    state.found[::2] = True
    detect_scene_change(state)
    assert state.found.any()
    assert state.memory.last_id_before_cut == 0


def test_a_lost_track_is_found_where_the_global_motion_predicts_it(world: World) -> None:
    state = next_state(world)
    lost = visible(state)[::5]
    state.table.states[:] = TrackState.CONFIRMED
    state.table.states[lost] = TrackState.LOST
    again = FrameState(state.memory, state.previous, state.current)
    again.motion = translation(-4, -2)
    predict(again)
    align_to_key_patches(again)
    assert not again.found[lost].any()
    find_lost_by_prediction(again)
    assert again.found[lost].mean() > 0.7
    assert np.median(shift_errors_px(again, lost[again.found[lost]])) < 0.3


def test_what_is_hidden_is_not_found_by_prediction(world: World) -> None:
    box = (60, 60, 200, 180)
    state = next_state(world, box=box)
    state.table.states[:] = TrackState.LOST
    again = FrameState(state.memory, state.previous, state.current)
    again.motion = translation(-4, -2)
    predict(again)
    find_lost_by_prediction(again)
    covered = ((again.xy > (70, 70)) & (again.xy < (190, 170))).all(axis=1)
    assert covered.sum() > 10
    assert not again.found[covered].any()
    assert again.found[~covered].any()


def test_the_first_frame_has_nothing_to_align_from(world: World) -> None:
    state = FrameState(empty_memory(), None, GreyFrame.of(world.frame(0, MOVED)))
    with pytest.raises(ValueError, match="first frame"):
        _ = state.previous_grey
