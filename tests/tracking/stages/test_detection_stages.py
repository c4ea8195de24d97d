from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtime_kp.keypoints import Keypoints, TrackState
from realtime_kp.tracking.stages.birth import start_tracks
from realtime_kp.tracking.stages.confirmation import confirm_by_detection, end_contradicted, observe
from realtime_kp.tracking.stages.late_detection import to_current_frame
from realtime_kp.tracking.stages.life_cycle import end_tracks, record_history, update_tracks
from realtime_kp.tracking.stages.patch_renewal import renew_key_patches
from realtime_kp.tracking.stages.re_identification import match_lost, re_identify
from realtime_kp.tracking.stages.relocation import relocate_after_scene_change
from realtime_kp.tracking.stages.state import FrameState
from tests.tracking.stages.prepared import MOVED, SHIFT, empty_memory, first_state, next_state
from tests.tracking.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def moved_state(world: World, keypoints: Keypoints | None) -> FrameState:
    """The second frame with all tracks at their true positions, and its detection observed."""
    state = next_state(world, keypoints=keypoints)
    state.table.states[:] = TrackState.CONFIRMED
    state.table.xy = (state.table.xy - np.array(SHIFT, np.float32)).astype(np.float32)
    record_history(state)
    observe(state)
    return state


def test_tracks_start_apart_from_each_other_and_within_the_budget(world: World) -> None:
    memory = empty_memory(max_tracks=60)
    start_tracks(first_state(world, memory))
    table = memory.table
    assert 40 <= len(table) <= 60
    gaps = np.linalg.norm(table.xy[:, None] - table.xy[None], axis=2) + 1e3 * np.eye(len(table))
    assert gaps.min() > 5
    assert (table.states == TrackState.TENTATIVE).all()
    assert table.ids.tolist() == list(range(1, len(table) + 1))


def test_no_track_starts_on_a_flat_surface(world: World) -> None:
    memory = empty_memory()
    state = first_state(world, memory)
    state.current.values[:] = 128
    start_tracks(state)
    assert len(memory.table) == 0


def test_a_detection_of_a_forgotten_frame_is_counted_and_dropped(world: World) -> None:
    late = replace(world.keypoints(), frame_index=-40)
    state = next_state(world, keypoints=late)
    observe(state)
    assert state.observation is None
    assert state.memory.registry.expired == 1
    with pytest.raises(ValueError, match="needs a detection"):
        state.require_observation()


def test_a_detection_that_is_dropped_takes_no_descriptors_with_it(world: World) -> None:
    found = world.keypoints()
    shorter = replace(found, descriptors=found.descriptors[:, :16], frame_index=-40)
    state = next_state(world, keypoints=shorter)
    before = state.table.descriptors.copy()
    observe(state)
    np.testing.assert_array_equal(state.table.descriptors, before)


def test_keypoints_at_their_positions_confirm_tracks(world: World) -> None:
    state = moved_state(world, world.keypoints(MOVED))
    confirm_by_detection(state)
    seen = state.require_observation()
    assert len(seen.confirmed_rows) > 0.8 * len(state.table)
    assert (state.table.detections[seen.confirmed_rows] == 2).all()
    assert seen.free.sum() < 0.2 * len(seen.free)


def test_three_contradicting_detections_end_a_track(world: World) -> None:
    keypoints = world.keypoints(MOVED)
    state = moved_state(world, replace(keypoints, descriptors=np.roll(keypoints.descriptors, 7, axis=0)))
    count = len(state.table)
    for _ in range(3):
        end_contradicted(state)
        assert len(state.table) == count
        confirm_by_detection(state)
    assert len(state.require_observation().confirmed_rows) == 0
    end_contradicted(state)
    assert len(state.table) < 0.3 * count


def test_a_confirmed_track_that_changed_gets_a_new_key_patch(world: World) -> None:
    state = moved_state(world, world.keypoints(MOVED))
    confirm_by_detection(state)
    table, row = state.table, int(state.require_observation().confirmed_rows[5])
    table.flow_only[row] = 2
    table.affine[row] = 1.3 * np.eye(2)
    renew_key_patches(state)
    assert table.flow_only[row] == 0
    np.testing.assert_array_equal(table.affine[row], np.eye(2))
    xy, correlation = state.memory.patches.align(
        state.current.values, table.slots[[row]], table.xy[[row]], table.affine[[row]]
    )
    assert correlation[0] > 0.99
    np.testing.assert_allclose(xy, table.xy[[row]], atol=0.1)


def lose(state: FrameState, rows: np.ndarray) -> FrameState:
    """Let tracks be lost, at positions some pixels beside the true ones, and observe anew."""
    state.table.states[rows] = TrackState.LOST
    state.table.seen[rows] = False
    state.table.xy[rows] += (9, -6)
    record_history(state)
    observe(state)
    return state


def test_lost_tracks_are_re_identified_by_descriptor_and_aligned(world: World) -> None:
    state = moved_state(world, world.keypoints(MOVED))
    true_xy = state.table.xy.copy()
    rows = np.flatnonzero(state.current.inside(true_xy, 12))[::6]
    state = lose(state, rows)
    confirm_by_detection(state)
    re_identify(state)
    returned = rows[state.table.states[rows] == TrackState.CONFIRMED]
    assert len(returned) > 0.6 * len(rows)
    # Keypoints are half a pixel off, births were as well: alignment alone gives the exact place.
    assert np.median(np.linalg.norm(state.table.xy[returned] - true_xy[returned], axis=1)) < 0.2


def test_a_different_descriptor_is_not_re_identified(world: World) -> None:
    keypoints = world.keypoints(MOVED)
    others = np.random.default_rng(1).normal(size=keypoints.descriptors.shape).astype(np.float32)
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    state = moved_state(world, replace(keypoints, descriptors=others))
    state = lose(state, np.arange(0, len(state.table), 6))
    confirm_by_detection(state)
    assert len(match_lost(state)) == 0


def test_after_a_scene_change_all_tracks_are_looked_for_at_once(world: World) -> None:
    corner = (150.0, 60.0)
    state = next_state(world, corner=corner, keypoints=world.keypoints(corner))
    table = state.table
    table.states[:] = TrackState.LOST
    table.seen[:] = False
    state.memory.last_id_before_cut = int(table.ids[-1])
    true_xy = table.xy - np.array([50.0, -40.0], np.float32)
    record_history(state)
    observe(state)
    relocate_after_scene_change(state)
    returned = table.states == TrackState.CONFIRMED
    assert returned.sum() > 60
    assert np.median(np.linalg.norm(table.xy[returned] - true_xy[returned], axis=1)) < 0.3
    assert state.memory.last_id_before_cut == 0


def test_positions_of_a_late_detection_are_carried_to_the_current_frame(world: World) -> None:
    state = next_state(world, keypoints=replace(world.keypoints(), frame_index=0))
    observe(state)
    past_xy = state.table.xy.copy()
    xy, good = to_current_frame(state, past_xy)
    assert good.mean() > 0.8
    errors = np.linalg.norm(xy[good] - past_xy[good] + np.array(SHIFT, np.float32), axis=1)
    assert np.median(errors) < 0.2


def test_update_confirms_after_enough_frames_and_loses_what_was_not_found(world: World) -> None:
    state = next_state(world, empty_memory(confirm_after=2))
    state.found[:10] = True
    state.xy = state.table.xy + 1
    update_tracks(state)
    states = state.table.states
    assert (states[:10] == TrackState.CONFIRMED).all()
    assert (states[10:] == TrackState.TENTATIVE).all()
    assert state.table.lengths[:10].tolist() == [2] * 10
    end_tracks(state)
    assert len(state.table) == 10


def test_without_descriptors_a_lost_track_ends(world: World) -> None:
    state = next_state(world, empty_memory(use_descriptors=False))
    state.table.states[:] = TrackState.CONFIRMED
    state.found[:10] = True
    update_tracks(state)
    end_tracks(state)
    assert len(state.table) == 10
    assert state.memory.registry.counts(state.table.confirmed_lengths).confirmed > 10
