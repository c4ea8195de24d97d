from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp import ConfigError, Frame, Keypoints, SuperPoint, Tracker, TrackState
from realtime_kp.evaluation.compared_trackers import PointTracker
from realtime_kp.evaluation.one_core import one_core
from realtime_kp.evaluation.reference_trackers import KltTracker
from realtime_kp.evaluation.track_accuracy import TrackRecord
from realtime_kp.sources import DemoSpec, Scene
from tests.tracking.world import ORIGIN, SIZE_WH, World, errors_px, grained_picture, inside, places

BOX = (100, 60, 220, 180)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def pan(i: int, step: tuple[float, float] = (1.5, 0.7)) -> tuple[float, float]:
    return ORIGIN[0] + step[0] * i, ORIGIN[1] + step[1] * i


def test_tracks_stick_to_their_points_to_a_tenth_of_a_pixel(world: World) -> None:
    tracker = Tracker()
    seen = [tracker.update(world.frame(i, pan(i)), world.keypoints(pan(i))) for i in range(25)]
    errors = errors_px(seen[-1], seen[1], (-1.5 * 23, -0.7 * 23))
    assert len(errors) > 150
    assert np.median(errors) < 0.1
    assert np.percentile(errors, 99) < 1


def test_frames_without_keypoints_count_as_seen(world: World) -> None:
    tracker = Tracker()
    seen = [
        tracker.update(world.frame(i, pan(i)), world.keypoints(pan(i)) if i % 6 == 0 else None)
        for i in range(25)
    ]
    assert len(seen[5].seen_confirmed) > 150
    kept = places(seen[-1]).keys() & places(seen[1]).keys()
    assert len(kept) > 0.8 * len(places(seen[1]))
    lengths = dict(zip(seen[-1].ids.tolist(), seen[-1].lengths.tolist(), strict=True))
    assert np.median([lengths[i] for i in kept]) == 25
    assert np.median(errors_px(seen[-1], seen[1], (-1.5 * 23, -0.7 * 23))) < 0.1


def test_what_was_hidden_returns_with_its_id_and_nothing_sticks_to_the_border(world: World) -> None:
    tracker = Tracker()
    for i in range(5):
        before = tracker.update(world.frame(i, pan(i)), world.keypoints(pan(i)))
    for i in range(5, 25):
        left = -120 + (i - 5) * 22
        box = (left, 60, left + 120, 180)
        covered = (left + 9, 69, left + 111, 171)  # by most of a key patch
        hidden = tracker.update(world.frame(i, pan(i), _cut(box)), world.keypoints(pan(i), box))
        assert inside(hidden.seen_confirmed.xy, covered).sum() == 0
    for i in range(25, 28):
        after = tracker.update(world.frame(i, pan(i)), world.keypoints(pan(i)))
    kept = places(after).keys() & places(before).keys()
    in_view = [p for p in places(before).values() if inside(p[None] - [34.5, 16.1], (12, 12, 308, 228))[0]]
    assert len(kept) > 0.95 * len(in_view)
    assert np.percentile(errors_px(after, before, (-1.5 * 23, -0.7 * 23)), 99) < 1


def _cut(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return max(0, box[0]), box[1], max(0, min(SIZE_WH[0], box[2])), box[3]


def test_what_left_the_picture_returns_with_its_id(world: World) -> None:
    tracker = Tracker()
    offsets = [*range(0, 60, 4), *range(60, -1, -4)]
    corners = [(ORIGIN[0] + x, ORIGIN[1]) for x in offsets]
    seen = [
        tracker.update(world.frame(i, c), world.keypoints(c))
        for i, c in enumerate([*corners, ORIGIN, ORIGIN])
    ]
    first, last = places(seen[1]), places(seen[-1])
    gone = [i for i, xy in first.items() if 14 < xy[0] < 50]
    assert len(gone) > 15
    assert not set(gone) & places(seen[15]).keys()
    back = [i for i in gone if i in last]
    assert len(back) > 0.9 * len(gone)
    assert max(float(np.linalg.norm(last[i] - first[i] - [4, 0])) for i in back) < 2


def test_a_track_that_stays_away_too_long_ends_and_its_id_is_not_used_again(world: World) -> None:
    tracker = Tracker(max_age=6)
    for i in range(3):
        before = tracker.update(world.frame(i), world.keypoints())
    hidden = [i for i, xy in places(before).items() if inside(xy[None], (110, 70, 210, 170))[0]]
    for i in range(3, 12):
        tracks = tracker.update(world.frame(i, box=BOX), world.keypoints(box=BOX))
    assert len(hidden) > 10
    assert not set(hidden) & set(tracks.ids.tolist())
    for i in range(12, 16):
        after = tracker.update(world.frame(i), world.keypoints())
    fresh = [i for i, xy in places(after).items() if inside(xy[None], (110, 70, 210, 170))[0]]
    assert len(fresh) > 10
    assert min(fresh) > max(before.ids.tolist())


def test_of_two_identical_patches_each_keeps_its_own_id() -> None:
    world = World(3)
    tile = world.image[150:190, 150:190].copy()
    world.image[150:190, 200:240] = tile
    world.image[150:190, 250:290] = tile
    grey = cv2.cvtColor(world.image, cv2.COLOR_BGR2GRAY)
    world.corners = cv2.goodFeaturesToTrack(grey, 2000, 0.004, 6).reshape(-1, 2)
    # What looks the same is described the same, wherever it is.
    patch = np.where((world.corners[:, :1] >= 150) & (world.corners[:, :1] < 290), 50, 10_000)
    look = np.round((world.corners - 150) % [1, 10_000] + (world.corners[:, :1] - 150) % patch * [1, 0])
    keys = [hash((float(a), float(b))) % 2**32 for a, b in look]
    world.descriptors = np.stack([np.random.default_rng(k).normal(size=64) for k in keys]).astype(np.float32)
    world.descriptors /= np.linalg.norm(world.descriptors, axis=1, keepdims=True)
    tracker = Tracker()
    box = (96, 46, 144, 94)  # over the second tile
    for i in range(20):
        hidden = box if 5 <= i < 15 else None
        tracks = tracker.update(world.frame(i, box=hidden), world.keypoints(box=hidden))
        if i == 4:
            before = tracks
    errors = errors_px(tracks, before, (0, 0))
    assert len(errors) > 0.95 * len(places(before))
    assert errors.max() < 2


def test_a_cut_ends_nothing_wrongly_and_after_it_the_old_tracks_return(world: World) -> None:
    other = World(9)
    tracker = Tracker()
    for i in range(6):
        before = tracker.update(world.frame(i), world.keypoints())
    for i in range(6, 14):
        elsewhere = tracker.update(other.frame(i), other.keypoints())
        assert not places(elsewhere).keys() & places(before).keys()
    assert len(places(elsewhere)) > 150
    for i in range(14, 17):
        back = tracker.update(world.frame(i, (105.0, 98.0)), world.keypoints((105.0, 98.0)))
    kept = places(back).keys() & places(before).keys()
    assert len(kept) > 0.9 * len(places(before))
    assert errors_px(back, before, (-5, 2)).max() < 2


def test_before_a_still_camera_nothing_jitters(world: World) -> None:
    tracker = Tracker()
    seen = [
        places(tracker.update(world.frame(i), world.keypoints() if i % 3 == 0 else None)) for i in range(100)
    ]
    steady = [i for i in seen[2] if all(i in later for later in seen[2:])]
    assert len(steady) > 0.95 * len(seen[2])
    xy = np.array([[later[i] for i in steady] for later in seen[2:]])
    assert np.median(xy.std(axis=0)) < 0.05
    assert np.percentile(xy.std(axis=0), 95) < 0.1


def test_darkness_hides_everything_and_light_brings_it_back(world: World) -> None:
    tracker = Tracker()
    for i in range(5):
        before = tracker.update(world.frame(i), world.keypoints())
    for i in range(5, 12):
        black = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
        dark = tracker.update(Frame(i, i / 30, 0.0, black), Keypoints.empty(64))
        assert len(dark.seen_confirmed) == 0
    moved = (103.0, 101.0)
    for i in range(12, 15):
        after = tracker.update(world.frame(i, moved), world.keypoints(moved))
    kept = places(after).keys() & places(before).keys()
    assert len(kept) > 0.9 * len(places(before))
    assert errors_px(after, before, (-3, -1)).max() < 2


def test_old_tracks_that_return_after_a_cut_replace_those_that_began_on_their_points(world: World) -> None:
    tracker = Tracker()
    for i in range(5):
        before = tracker.update(world.frame(i), world.keypoints())
    moved = (112.0, 94.0)
    for i in range(5, 9):
        black = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
        tracker.update(Frame(i, i / 30, 0.0, black), Keypoints.empty(64))
    for i in range(9, 14):
        found = world.keypoints(moved)
        if i < 12:  # nobody recognises anything, so new tracks begin
            found = replace(found, descriptors=np.roll(found.descriptors, len(found) // 2, axis=0))
        after = tracker.update(world.frame(i, moved), found)
        if i == 11:
            assert not places(after).keys() & places(before).keys()
            assert len(places(after)) > 150
    kept = places(after).keys() & places(before).keys()
    assert len(kept) > 0.8 * len(places(before))
    assert errors_px(after, before, (-12, 6)).max() < 2
    xy = after.where(after.seen).xy
    gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.eye(len(xy)) * 99
    assert gaps.min() > 2


def test_one_keypoint_is_followed_on_its_own(world: World) -> None:
    tracker = Tracker()
    middle = int(np.argmin(np.linalg.norm(world.corners - [270, 230], axis=1)))
    for i in range(12):
        xy = (world.corners[middle] - pan(i)).astype(np.float32)
        one = Keypoints(xy[None], np.ones(1, np.float32), world.descriptors[middle : middle + 1])
        tracks = tracker.update(world.frame(i, pan(i)), one if i < 3 else None)
    assert tracks.ids.tolist() == [1]
    assert tracks.seen.all()
    assert np.linalg.norm(tracks.xy[0] - xy) < 0.5


def test_no_keypoints_give_no_tracks(world: World) -> None:
    tracker = Tracker()
    assert len(tracker.update(world.frame(0), None)) == 0
    assert len(tracker.update(world.frame(1), Keypoints.empty(64))) == 0
    assert len(tracker.update(world.frame(2), None)) == 0
    assert tracker.counts.started == 0


def test_an_object_that_moves_on_its_own_is_followed(world: World) -> None:
    tracker = Tracker()
    thing = World(5)
    for i in range(12):
        shift = (4.0 * i, 1.0 * i)
        frame, far = world.frame(i), thing.frame(i, (150.0 - shift[0], 150.0 - shift[1]))
        left, top = round(80 + shift[0]), round(60 + shift[1])
        box = (left, top, left + 100, top + 90)
        image = frame.image_bgr.copy()
        image[top : top + 90, left : left + 100] = far.image_bgr[top : top + 90, left : left + 100]
        here, there = world.keypoints(box=box), thing.keypoints((150.0 - shift[0], 150.0 - shift[1]))
        on_it = there.rows(np.flatnonzero(inside(there.xy, box)))
        both = Keypoints(
            np.concatenate([here.xy, on_it.xy]),
            np.concatenate([here.scores, on_it.scores]),
            np.concatenate([here.descriptors, on_it.descriptors]),
        )
        tracks = tracker.update(replace(frame, image_bgr=image), both)
        if i == 2:
            first = places(tracks)
    last = places(tracks)
    moving = [k for k, xy in first.items() if inside(xy[None], (105, 79, 171, 135))[0]]
    kept = [k for k in moving if k in last and np.linalg.norm(last[k] - first[k] - [36, 9]) < 1]
    assert len(moving) > 10
    assert len(kept) > 0.85 * len(moving)


def test_two_tracks_never_share_a_point(world: World) -> None:
    tracker = Tracker()
    for i in range(20):
        box = BOX if i % 7 > 3 else None
        tracks = tracker.update(world.frame(i, pan(i, (3, 2)), box), world.keypoints(pan(i, (3, 2)), box))
        xy = tracks.where(tracks.seen).xy
        gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.eye(len(xy)) * 99
        assert gaps.min() > 2
        assert len(set(tracks.ids.tolist())) == len(tracks)


def test_a_point_that_is_described_otherwise_again_and_again_loses_its_track(world: World) -> None:
    tracker = Tracker()
    for i in range(4):
        before = tracker.update(world.frame(i), world.keypoints())
    for i in range(4, 7):
        view = world.keypoints()
        other = np.roll(view.descriptors, len(view) // 2, axis=0)
        after = tracker.update(world.frame(i), replace(view, descriptors=other))
    kept = set(before.ids.tolist()) & set(after.seen_confirmed.ids.tolist())
    assert len(kept) < 0.03 * len(before)


def test_tracks_start_only_where_there_is_something_to_hold_on_to() -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    image[:, 160:] = 180  # one straight edge, and a corner
    image[200:, 40:60] = 20
    xy = np.array([[160, 60], [160, 120], [60, 60], [59.5, 199.5]], np.float32)
    rng = np.random.default_rng(0)
    descriptors = rng.normal(size=(4, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    tracker = Tracker(confirm_after=1)
    tracks = tracker.update(Frame(0, 0.0, 0.0, image), Keypoints(xy, np.ones(4, np.float32), descriptors))
    np.testing.assert_allclose(tracks.xy, [[59.5, 199.5]])


def test_new_tracks_are_spread_over_the_picture(world: World) -> None:
    tracker = Tracker(max_tracks=60)
    found = world.keypoints()
    # The best keypoints crowd in the left half.
    order = np.argsort(found.xy[:, 0] > SIZE_WH[0] / 2, kind="stable")
    crowded = replace(found.rows(order), scores=found.scores)
    for i in range(3):
        tracks = tracker.update(world.frame(i), crowded)
    assert 50 <= len(tracks.confirmed) <= 60
    right = (tracks.confirmed.xy[:, 0] > SIZE_WH[0] / 2).sum()
    assert 20 <= right <= 40


def test_the_number_of_tracks_is_bounded(world: World) -> None:
    tracker = Tracker(max_tracks=80, max_lost=30, max_age=100)
    for i in range(30):
        corner = (60 + 8.0 * i, 100.0)
        tracks = tracker.update(world.frame(i, corner), world.keypoints(corner))
        assert (tracks.states != TrackState.LOST).sum() <= 80 + 30
        assert (tracks.states == TrackState.LOST).sum() <= 30
    assert tracker.counts.started > 100


def test_flow_does_without_descriptors_and_what_it_loses_is_gone(world: World) -> None:
    tracker = Tracker(kind="flow")
    rng = np.random.default_rng(0)
    for i in range(12):
        box = BOX if 5 <= i < 8 else None
        world_view = world.keypoints(pan(i), box)
        noise = rng.normal(size=world_view.descriptors.shape).astype(np.float32)
        view = replace(world_view, descriptors=noise)
        tracks = tracker.update(world.frame(i, pan(i), box), view)
        if i == 4:
            before = tracks
        assert not (tracks.states == TrackState.LOST).any()
    hidden = {k for k, xy in places(before).items() if inside(xy[None], (110, 70, 210, 170))[0]}
    assert len(hidden) > 10
    assert not hidden & places(tracks).keys()
    rest = places(before).keys() & places(tracks).keys()
    assert len(rest) > 0.5 * len(before)


# Keypoints of earlier frames


def test_late_keypoints_start_tracks_where_their_points_are_now(world: World) -> None:
    tracker = Tracker(confirm_after=1)
    for i in range(12):
        late = world.keypoints(pan(i - 4), of_frame=i - 4) if i % 5 == 4 else None
        tracks = tracker.update(world.frame(i, pan(i)), late)
    points = world.corners - np.array(pan(11), np.float32)
    gaps = np.linalg.norm(tracks.seen_confirmed.xy[:, None] - points[None], axis=2).min(axis=1)
    assert len(gaps) > 150
    assert np.median(gaps) < 0.5
    assert np.percentile(gaps, 95) < 1.5
    assert tracker.expired == 0


def test_late_keypoints_confirm_the_tracks_of_then(world: World) -> None:
    tracker = Tracker()
    for i in range(3):
        tracker.update(world.frame(i, pan(i)), world.keypoints(pan(i)))
    for i in range(3, 12):
        late = world.keypoints(pan(i - 3), of_frame=i - 3)
        tracks = tracker.update(world.frame(i, pan(i)), replace(late, scores=late.scores * 0 + 0.5))
        assert len(tracks.ids) == len(set(tracks.ids.tolist()))
    first = tracks.seen_confirmed.ids < 100
    assert (tracks.seen_confirmed.scores[first] == 0.5).mean() > 0.9
    xy = tracks.where(tracks.seen).xy
    gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.eye(len(xy)) * 99
    assert gaps.min() > 2


def test_lost_tracks_return_by_late_keypoints(world: World) -> None:
    tracker = Tracker()
    for i in range(5):
        before = tracker.update(world.frame(i), world.keypoints())
    black = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    for i in range(5, 10):
        tracker.update(Frame(i, i / 30, 0.0, black), None)
    elsewhere = (112.0, 94.0)
    for i in range(10, 16):
        late = world.keypoints(elsewhere, of_frame=i - 3) if i >= 13 else None
        after = tracker.update(world.frame(i, elsewhere), late)
    kept = places(after).keys() & places(before).keys()
    assert len(kept) > 0.8 * len(places(before))
    assert errors_px(after, before, (-12, 6)).max() < 2


def test_keypoints_out_of_order_are_taken_as_what_they_are(world: World) -> None:
    tracker = Tracker(confirm_after=1)
    order = {6: 5, 7: 3, 8: 4}
    for i in range(9):
        late = world.keypoints(pan(order[i]), of_frame=order[i]) if i in order else None
        tracks = tracker.update(world.frame(i, pan(i)), late)
    points = world.corners - np.array(pan(8), np.float32)
    gaps = np.linalg.norm(tracks.seen_confirmed.xy[:, None] - points[None], axis=2).min(axis=1)
    assert len(gaps) > 150
    assert np.percentile(gaps, 95) < 1.5
    assert tracker.expired == 0


def test_keypoints_of_a_forgotten_frame_are_dropped_and_counted(world: World) -> None:
    tracker = Tracker(history=4)
    for i in range(8):
        tracks = tracker.update(world.frame(i), world.keypoints(of_frame=i - 4) if i >= 6 else None)
    assert len(tracks) == 0
    assert tracker.expired == 2
    tracks = tracker.update(world.frame(8), world.keypoints(of_frame=6))
    assert len(tracks) > 150
    assert tracker.expired == 2


def test_the_descriptor_method_has_no_use_for_late_keypoints(world: World) -> None:
    tracker = Tracker(kind="descriptor")
    tracker.update(world.frame(0), world.keypoints())
    tracker.update(world.frame(1), world.keypoints(of_frame=0))
    assert tracker.expired == 1


def test_keypoints_of_a_frame_to_come_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="frame 0 got keypoints of the later frame 3"):
        Tracker().update(world.frame(0), world.keypoints(of_frame=3))


def test_a_new_frame_size_ends_all_tracks_and_ids_go_on(world: World) -> None:
    tracker = Tracker()
    for i in range(3):
        before = tracker.update(world.frame(i), world.keypoints())
    small = Frame(3, 0.1, 0.0, np.ascontiguousarray(world.frame(3).image_bgr[:200, :300]))
    found = world.keypoints()
    found = found.rows(np.flatnonzero(inside(found.xy, (0, 0, 290, 190))))
    tracks = tracker.update(small, found)
    assert tracks.ids.min() > before.ids.max()
    assert tracker.counts.confirmed == len(before.confirmed)


@pytest.mark.parametrize("kind", ["hybrid", "flow", "descriptor"])
def test_an_index_that_goes_back_is_another_source(world: World, kind: str) -> None:
    shown = [(world.frame(i), world.keypoints()) for i in range(4)]
    tracker, alone = Tracker(kind=kind), Tracker(kind=kind)
    first = [tracker.update(*one) for one in shown]
    again = [tracker.update(*one) for one in shown]
    wanted = [alone.update(*one) for one in shown]
    assert again[0].ids.min() > max(tracks.ids.max() for tracks in first)
    for tracks, others in zip(again, wanted, strict=True):
        np.testing.assert_array_equal(tracks.xy, others.xy)
        np.testing.assert_array_equal(tracks.states, others.states)
        np.testing.assert_array_equal(np.diff(tracks.ids), np.diff(others.ids))


def test_late_keypoints_do_not_go_back(world: World) -> None:
    tracker = Tracker()
    for i in range(4):
        before = tracker.update(world.frame(i), world.keypoints())
    after = tracker.update(world.frame(4), world.keypoints(of_frame=1))
    assert set(before.ids[before.seen]) <= set(after.ids)
    assert tracker.expired == 0


@pytest.mark.parametrize("kind", ["hybrid", "flow", "descriptor"])
def test_tracks_go_on_when_another_network_takes_over(world: World, kind: Any) -> None:
    def short(found: Keypoints) -> Keypoints:
        cut = found.descriptors[:, :16]
        return replace(found, descriptors=cut / np.linalg.norm(cut, axis=1, keepdims=True))

    tracker = Tracker(kind=kind)
    for i in range(4):
        before = tracker.update(world.frame(i, (i, 0)), world.keypoints((i, 0))).seen_confirmed
    tracker.update(world.frame(4, (4, 0)), short(world.keypoints((4, 0))))
    tracker.update(
        world.frame(5, (5, 0), box=(0, 0, 160, 480)), short(world.keypoints((5, 0), (0, 0, 160, 480)))
    )
    for i in range(6, 9):
        after = tracker.update(world.frame(i, (i, 0)), short(world.keypoints((i, 0))))
    kept = np.isin(before.ids, after.seen_confirmed.ids)
    assert kept[before.xy[:, 0] > 170].mean() > 0.9
    if kind != "flow":  # with it, what is lost ends
        assert kept[before.xy[:, 0] < 150].mean() > 0.6


def test_corners_are_tracked_while_no_detection_comes(world: World) -> None:
    tracker = Tracker(max_tracks=400, corners="always")
    seen = [int(tracker.update(world.frame(i, (i, 0)), None).seen.sum()) for i in range(31)]
    assert seen[:4] == [0] * 4
    assert 150 < seen[30] <= 200
    late = tracker.update(world.frame(31, (31, 0)), world.keypoints((30, 0), of_frame=30))
    assert late.seen.sum() > 230
    # Corners at keypoints got their scores.
    born = late.ids[late.scores > 0]
    assert len(np.intersect1d(born, late.ids[late.lengths > 3])) > 100


@pytest.mark.parametrize(("every", "corners"), [(2, "always"), (8, "never"), (8, "auto")])
def test_no_corners_are_tracked_where_detections_are_frequent_or_nobody_wants_them(
    world: World, every: int, corners: Any
) -> None:
    tracker = Tracker(corners=corners)
    for i in range(20):
        late = replace(Keypoints.empty(64), frame_index=i - 1) if i % every == 1 else None
        assert len(tracker.update(world.frame(i), late)) == 0


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_agee"):
        Tracker(max_agee=3)
    with pytest.raises(ConfigError, match="-1"):
        Tracker(max_age=-1)
    with pytest.raises(ConfigError, match="magic"):
        Tracker(kind="magic")


@pytest.mark.slow
def test_photographs_under_known_motion_are_followed_as_promised() -> None:
    scene = DemoSpec(occluder=True, seed=1).scene()
    record, tracker = TrackRecord(scene), Tracker()
    with SuperPoint() as superpoint:
        for i in range(90):
            image = scene.render(i)
            record.add(tracker.update(Frame(i, i / 30, 0.0, image), superpoint(image)))
    found = record.accuracy()
    assert found.within_1px > 0.99
    assert found.median_px < 0.1
    assert found.since_birth > 0.97
    assert found.returned > 0.8
    assert found.wrong_returns <= 0.01


@pytest.mark.slow
def test_a_thousand_tracks_cost_half_of_lucas_kanade_at_most() -> None:
    scene = Scene(grained_picture((928, 696), seed=3), seed=3)
    with SuperPoint() as superpoint:
        shown = [(image, superpoint(image)) for image in map(scene.render, range(40))]
    ours_ms = theirs_ms = np.full(len(shown), np.inf)
    seen = np.zeros(len(shown))
    with one_core():
        for _ in range(3):
            # In turn, and the best of each frame: what the work costs, not what the machine did beside it.
            tracked_ms, seen = _cost_ms(Tracker(max_tracks=1000), shown)
            followed_ms, _ = _cost_ms(KltTracker(max_tracks=1000), shown)
            ours_ms, theirs_ms = np.minimum(ours_ms, tracked_ms), np.minimum(theirs_ms, followed_ms)
    assert np.median(seen) > 950
    assert np.median(ours_ms[5:]) <= 0.5 * np.median(theirs_ms[5:])


def _cost_ms(
    tracker: PointTracker, shown: list[tuple[NDArray[np.uint8], Keypoints]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Milliseconds of each update, and how many tracks it saw."""
    took_ms, seen = [], []
    for i, (image, keypoints) in enumerate(shown):
        frame = Frame(i, i / 30, 0.0, image)
        started_s = time.perf_counter()
        seen.append(int(tracker.update(frame, keypoints).seen.sum()))
        took_ms.append((time.perf_counter() - started_s) * 1e3)
    return np.array(took_ms), np.array(seen, np.float64)
