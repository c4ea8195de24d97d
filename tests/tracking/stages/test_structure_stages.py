from __future__ import annotations

import numpy as np
import pytest

from realtime_kp import Keypoints
from realtime_kp.tracking.history import GreyFrame
from realtime_kp.tracking.motion import GlobalMotion
from realtime_kp.tracking.parallax import SETTLED, UNKNOWN, fit_motion
from realtime_kp.tracking.stages.birth import start_tracks
from realtime_kp.tracking.stages.confirmation import observe
from realtime_kp.tracking.stages.life_cycle import record_history
from realtime_kp.tracking.stages.state import FrameState, Memory, ReturnRate
from realtime_kp.tracking.stages.structure import carry_structure, find_structure, guess_depths
from realtime_kp.tracking.table import AlignedTable
from tests.tracking.rigid_world import Camera, cloud, wall
from tests.tracking.stages.prepared import empty_memory, next_state
from tests.tracking.world import World

CAMERAS = [Camera(0.03 * i, 0.0, 0.04 * i, 0.3 * i) for i in range(30)]
BLANK = np.zeros((480, 640), np.uint8)


def memory_of(points: np.ndarray, frame: int) -> Memory:
    """All points are tracks, seen at their true places in a frame."""
    memory = empty_memory()
    xy = CAMERAS[frame].see(points)[0]
    count = len(points)
    keypoints = Keypoints(xy, np.ones(count, np.float32), np.zeros((count, 64), np.float32))
    memory.table = AlignedTable.with_patches(np.arange(1, count + 1), keypoints, np.arange(count), 5)
    return memory


def advance(memory: Memory, points: np.ndarray, frame: int, found: np.ndarray) -> None:
    """Move the tracks to the next frame: found ones to the truth, the others where they are predicted."""
    state = state_of(memory, frame)
    there = CAMERAS[frame].see(points)[0]
    table = memory.table
    state.found[:] = found
    rows = np.flatnonzero(found)
    if memory.has_structure:
        motion = fit_motion(table.xy[rows], there[rows], table.inverse_depths[rows], memory.motion)
        assert motion is not None
        state.motion = motion
        state.moved_xy = motion.apply(table.xy, table.inverse_depths)
        state.xy = np.where(found[:, None], there, state.moved_xy)
        carry_structure(state)
        memory.motion = motion
    else:
        state.xy = there
    table.velocity = state.xy - table.xy
    table.xy, table.seen = state.xy, found.copy()
    find_structure(state)


def state_of(memory: Memory, frame: int) -> FrameState:
    return FrameState(memory, GreyFrame(frame - 1, BLANK), GreyFrame(frame, BLANK))


def run(points: np.ndarray, frames: int, memory: Memory | None = None) -> Memory:
    memory = memory_of(points, 0) if memory is None else memory
    for frame in range(1, frames):
        advance(memory, points, frame, np.ones(len(points), bool))
    return memory


def test_parallax_of_a_moving_camera_gives_structure() -> None:
    memory = run(cloud(250), 12)
    assert memory.has_structure
    assert memory.anchor is None
    assert (memory.table.depth_variances < SETTLED).mean() > 0.9


def test_a_hidden_track_is_predicted_for_fifteen_frames() -> None:
    points = cloud(250)
    memory = run(points, 12)
    seen = np.arange(len(points)) % 5 > 0
    for frame in range(12, 27):
        advance(memory, points, frame, seen)
    truth = CAMERAS[26].see(points)[0]
    gap = np.linalg.norm(memory.table.xy - truth, axis=1)[~seen]
    moved = np.linalg.norm(truth - CAMERAS[11].see(points)[0], axis=1)[~seen]
    assert np.median(moved) > 20
    assert np.quantile(gap, 0.9) < 1.5


def test_the_slope_of_a_wall_is_found() -> None:
    pixels = np.random.default_rng(4).uniform((60, 60), (580, 420), (260, 2))
    points = np.concatenate([wall(pixels), cloud(120)])
    memory = run(points, 14)
    assert memory.has_structure
    table = memory.table
    for frame in range(14, 27):
        advance(memory, points, frame, np.ones(len(points), bool))
    on_wall = slice(0, 260)
    across = np.c_[table.xy[on_wall], np.ones(260)]
    plane = np.linalg.lstsq(across, table.inverse_depths[on_wall], rcond=None)[0]
    known = np.linalg.norm(table.depth_slopes[on_wall], axis=1) > 0
    assert known.mean() > 0.9
    found = np.median(table.depth_slopes[on_wall][known], axis=0)
    np.testing.assert_allclose(found, plane[:2], rtol=0.15, atol=2e-4)


def test_a_flat_scene_gives_none() -> None:
    pixels = np.random.default_rng(5).uniform((60, 60), (580, 420), (260, 2))
    memory = run(wall(pixels), 24)
    assert not memory.has_structure
    assert (memory.table.depth_variances == UNKNOWN).all()


def test_optical_flow_alone_looks_for_none() -> None:
    points = cloud(250)
    memory = memory_of(points, 0)
    memory.use_descriptors = False
    assert not run(points, 12, memory).has_structure


def test_structure_that_does_not_fit_any_more_is_dropped() -> None:
    points = cloud(250)
    memory = run(points, 12)
    state = state_of(memory, 12)
    state.motion = GlobalMotion(np.eye(3), 9.0, 0.2, np.zeros(3))
    carry_structure(state)
    assert not memory.has_structure
    assert (memory.table.inverse_depths == 0).all()


def test_the_scale_of_inverse_depths_is_kept_as_things_come_nearer() -> None:
    points = cloud(250)
    memory = run(points, 12)
    table = memory.table
    table.inverse_depths *= 8
    table.depth_variances *= 64
    assert memory.motion is not None
    for frame in range(12, 27):
        advance(memory, points, frame, np.arange(len(points)) % 5 > 0)
    assert 0.5 <= np.std(memory.table.inverse_depths) <= 2.5
    gap = np.linalg.norm(memory.table.xy - CAMERAS[26].see(points)[0], axis=1)
    assert np.quantile(gap, 0.9) < 1.5


def test_a_track_that_moves_by_itself_is_told() -> None:
    points = cloud(250)
    memory = run(points, 12)
    rows = np.arange(len(points)) < 10
    for step, frame in enumerate(range(12, 22)):
        state = state_of(memory, frame)
        table = memory.table
        there = CAMERAS[frame].see(points)[0]
        there[rows, 1] += 4.0 * (step + 1)
        motion = fit_motion(table.xy[~rows], there[~rows], table.inverse_depths[~rows], memory.motion)
        assert motion is not None
        state.motion = memory.motion = motion
        state.xy, state.found[:] = there, True
        carry_structure(state)
        table.xy = there
    assert (memory.table.misfit_px[rows] > 1).all()
    assert np.median(memory.table.misfit_px[~rows]) < 0.1


def test_new_tracks_take_the_depth_of_their_neighbours() -> None:
    points = cloud(250)
    memory = run(points, 12)
    table = memory.table
    state = state_of(memory, 12)
    depths, variances = guess_depths(state, table.xy[:3] + 1)
    assert np.isfinite(depths).all()
    assert (variances < UNKNOWN).all()
    memory.drop_structure()
    depths, variances = guess_depths(state, table.xy[:3])
    assert (depths == 0).all()
    assert (variances == UNKNOWN).all()


def test_room_is_kept_only_for_tracks_that_return() -> None:
    never, often = ReturnRate(), ReturnRate()
    assert never.share_within(5) == 1
    for _ in range(20):
        never.add(100, 0)
        often.add(100, 25)
    assert never.share_within(5) == 0
    assert often.share_within(5) == pytest.approx(1 - 0.75**5)


def test_more_tracks_start_where_hidden_ones_do_not_return() -> None:
    world = World()
    started = []
    for returned in (0, 30):
        memory = empty_memory(max_tracks=40)
        state = next_state(world, memory, keypoints=world.keypoints())
        table = memory.table
        table.states[:30], table.seen[:30] = 2, False
        for _ in range(20):
            memory.returns.add(30, returned)
        observe(state)
        record_history(state)
        observe(state)
        before = len(table)
        start_tracks(state)
        started.append(len(memory.table) - before)
    assert started[0] > started[1]
