"""Points of one's own: started anywhere, never given up, found again, refused with the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp import Frame, Keypoints, Tracker, Tracks
from realtime_kp.errors import ArgumentError
from realtime_kp.keypoints import TrackState
from realtime_kp.tracking import restore_tracker, save_tracker
from tests.tracking.world import ORIGIN, SIZE_WH, World, grained_picture

START = np.array([120.3, 90.6], np.float32)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logging.getLogger("realtime_kp").propagate = True
    with caplog.at_level(logging.WARNING, "realtime_kp"):
        yield caplog


def pan(index: int) -> tuple[float, float]:
    """The corner of the view: it moves by a pixel a frame."""
    return ORIGIN[0] + index, ORIGIN[1] + 0.5 * index


def view(world: World, index: int, at: int | None = None, **hidden: Any) -> tuple[Frame, Keypoints]:
    corner = pan(index if at is None else at)
    return world.frame(index, corner, **hidden), world.keypoints(corner, **hidden)


def where(tracks: Tracks, track_id: int) -> NDArray[np.float32] | None:
    """Where a track is seen."""
    seen = tracks.seen_confirmed
    rows = np.flatnonzero(seen.ids == track_id)
    return seen.xy[rows[0]] if len(rows) else None


def off_px(tracks: Tracks, track_id: int, at: int, since: int = 0) -> float:
    """How far a point is from where it should be, which was at `START` in frame `since`."""
    moved = np.array(pan(since), np.float32) - np.array(pan(at), np.float32)
    there = where(tracks, track_id)
    return float("inf") if there is None else float(np.linalg.norm(there - START - moved))


@pytest.mark.parametrize("kind", ["hybrid", "flow"])
def test_a_point_is_followed_from_the_frame_at_which_it_was_added(world: World, kind: Any) -> None:
    tracker = Tracker(kind=kind)
    point = tracker.add(tuple(START.tolist()), "mine")
    first = tracker.update(*view(world, 0))
    np.testing.assert_allclose(where(first, point), START, atol=1e-3)
    for i in range(1, 40):
        tracks = tracker.update(*view(world, i))
    assert off_px(tracks, point, 39) < 0.5
    assert tracks.labels == {point: "mine"}
    (track,) = [one for one in tracks if one.label]
    assert (track.id, track.label, track.length) == (point, "mine", 40)


def test_a_point_added_while_running_starts_where_it_was_in_the_last_frame(world: World) -> None:
    tracker = Tracker()
    for i in range(10):
        tracker.update(*view(world, i))
    at_last, earlier = tracker.add(tuple(START.tolist())), tracker.add(tuple(START.tolist()), frame=4)
    tracks = tracker.update(*view(world, 10))
    assert off_px(tracks, at_last, 10, since=9) < 0.5
    assert off_px(tracks, earlier, 10, since=4) < 0.8
    assert tracks.labels == {at_last: "p1", earlier: "p2"}
    assert (np.diff(tracks.ids) > 0).all()


@pytest.mark.parametrize("at", [{"frame": 6}, {"time_s": 6 / 30}])
def test_a_point_can_be_of_a_frame_to_come(world: World, at: dict[str, Any]) -> None:
    tracker = Tracker()
    point = tracker.add(tuple(START.tolist()), **at)
    seen = [where(tracker.update(*view(world, i)), point) is not None for i in range(12)]
    assert seen == [False] * 6 + [True] * 6
    tracks = tracker.update(*view(world, 12))
    assert off_px(tracks, point, 12, since=6) < 0.5


def test_a_frame_that_was_dropped_is_no_reason_to_drop_the_point(world: World) -> None:
    tracker = Tracker()
    point = tracker.add(tuple(START.tolist()), frame=5)
    for i in (0, 1, 2, 7, 8):
        tracks = tracker.update(*view(world, i))
    assert off_px(tracks, point, 8, since=7) < 0.5


def test_a_hidden_point_returns_however_long_it_was_hidden(world: World) -> None:
    tracker = Tracker(max_age=10, max_lost=5)
    point = tracker.add(tuple(START.tolist()))
    box = (60, 40, 190, 150)
    for i in range(10):
        tracker.update(*view(world, i))
    for i in range(10, 60):
        tracks = tracker.update(*view(world, i, at=10, box=box))
        assert where(tracks, point) is None
    assert tracks.states[tracks.ids == point].tolist() == [TrackState.LOST]
    for i in range(60, 66):
        tracks = tracker.update(*view(world, i, at=10))
    assert off_px(tracks, point, 10) < 0.5


def test_a_point_that_left_the_picture_is_recognised_elsewhere_after_any_time(world: World) -> None:
    tracker = Tracker(max_age=10)
    point = tracker.add(tuple(START.tolist()))
    for i in range(20):
        tracker.update(*view(world, i))
    other = World(seed=9)
    for i in range(20, 70):
        tracks = tracker.update(*view(other, i, at=0))
        assert where(tracks, point) is None
    for i in range(70, 76):
        tracks = tracker.update(*view(world, i, at=45))
    assert off_px(tracks, point, 45) < 0.5


@pytest.mark.parametrize("another", ["session", "index", "size"])
def test_a_point_is_recognised_in_another_recording_of_the_scene(world: World, another: str) -> None:
    tracker = Tracker()
    point = tracker.add(tuple(START.tolist()))
    for i in range(20):
        tracker.update(*view(world, i))
    for i in range(8):
        index = i if another == "index" else 20 + i
        frame, found = view(world, index, at=30)
        frame = replace(frame, session=1) if another == "session" else frame
        if another == "size":
            frame = replace(frame, image_bgr=np.ascontiguousarray(frame.image_bgr[:-20]))
            found = found.rows(np.flatnonzero(found.xy[:, 1] < SIZE_WH[1] - 24))
        tracks = tracker.update(frame, found)
    assert off_px(tracks, point, 30) < 0.5


def test_reset_and_remove_end_points(world: World) -> None:
    tracker = Tracker()
    points = [tracker.add((x, 90.0)) for x in (80.0, 120.0, 200.0)]
    later = tracker.add((50.0, 50.0), frame=90)
    assert tracker.update(*view(world, 0)).labels.keys() == set(points)
    tracker.remove(points[1])
    tracker.remove(later)
    tracks = tracker.update(*view(world, 1))
    assert tracks.labels.keys() == {points[0], points[2]}
    assert points[1] not in tracks.ids
    for gone in (points[1], later, 4711):
        with pytest.raises(ArgumentError, match=f"no point of one's own with the id {gone}"):
            tracker.remove(gone)
    tracker.reset()
    tracks = tracker.update(*view(world, 2))
    assert not tracks.labels
    assert not np.isin(points, tracks.ids).any()


def test_only_points_shows_nothing_else_and_follows_as_well(world: World) -> None:
    alone, among = Tracker(only_points=True), Tracker()
    for tracker in (alone, among):
        tracker.add(tuple(START.tolist()), "mine")
    for i in range(30):
        only, every = alone.update(*view(world, i)), among.update(*view(world, i))
    assert len(only) == 1 < len(every)
    np.testing.assert_array_equal(only.xy[0].round(1), every.xy[every.ids == only.ids[0]][0].round(1))


def test_a_point_on_a_keypoint_takes_the_place_of_its_track(world: World) -> None:
    tracker = Tracker()
    for i in range(4):
        tracks = tracker.update(*view(world, i, at=0))
    taken = tracks.seen_confirmed
    xy = taken.xy[len(taken) // 2]
    point = tracker.add((float(xy[0]), float(xy[1])))
    for i in range(4, 8):
        tracks = tracker.update(*view(world, i, at=0))
    near = np.linalg.norm(tracks.xy - xy, axis=1) < 2
    assert tracks.ids[near].tolist() == [point]


def test_points_beside_each_other_stay(world: World) -> None:
    tracker = Tracker()
    points = [tracker.add((120.0 + x, 90.0)) for x in (0.0, 1.0)]
    for i in range(10):
        tracks = tracker.update(*view(world, i))
    assert all(where(tracks, point) is not None for point in points)


def test_masks_hide_points_and_give_them_back(world: World) -> None:
    tracker = Tracker()
    point = tracker.add(tuple(START.tolist()))
    mask = np.ones(SIZE_WH[::-1], np.uint8)
    mask[60:120, 90:150] = 0
    seen = []
    for i in range(24):
        frame, found = view(world, i, at=0)
        tracks = tracker.update(replace(frame, mask=mask if 6 <= i < 16 else None), found)
        seen.append(where(tracks, point) is not None)
        assert point not in tracks.ids or seen[-1] or not 6 <= i < 16
    assert seen[:6] == [True] * 6
    assert seen[6:16] == [False] * 10
    assert seen[-4:] == [True] * 4


@pytest.mark.parametrize(
    ("xy", "reason"),
    [
        ((160.0, 120.0), "on a flat surface or a straight edge"),
        ((1000.0, 20.0), "outside the picture of 320x240"),
        ((-1.0, 20.0), "outside the picture"),
        ((1.0, 100.0), "less than 3 px from the edge of the picture"),
        ((30.0, 30.0), "masked out"),
    ],
)
def test_what_cannot_be_followed_is_told(
    world: World, told: pytest.LogCaptureFixture, xy: tuple[float, float], reason: str
) -> None:
    mask = np.ones(SIZE_WH[::-1], np.uint8)
    mask[:50, :50] = 0
    frame, found = view(world, 0, box=(120, 80, 200, 160))
    frame = replace(frame, image_bgr=np.where(frame.image_bgr == 0, 0, frame.image_bgr), mask=mask)
    frame.image_bgr[100:140, 140:180] = 128
    tracker = Tracker()
    tracker.add(xy, "mine")
    assert not tracker.update(frame, found).labels
    (refusal,) = tracker.take_refusals()
    assert refusal.startswith(f"point mine at ({xy[0]:g}, {xy[1]:g}) is {reason}")
    assert refusal in told.text
    assert tracker.take_refusals() == ()


def test_a_frame_that_is_no_longer_remembered_is_told(world: World) -> None:
    tracker = Tracker(history=4)
    for i in range(10):
        tracker.update(*view(world, i))
    tracker.add(tuple(START.tolist()), frame=2)
    tracker.update(*view(world, 10))
    (refusal,) = tracker.take_refusals()
    assert "in frame 2, which was not seen or is no longer remembered" in refusal


def test_what_is_no_point_is_refused() -> None:
    with pytest.raises(ArgumentError, match="need the hybrid or the flow tracker"):
        Tracker(kind="descriptor").add((1.0, 2.0))
    with pytest.raises(ArgumentError, match="x and y must be numbers"):
        Tracker().add((float("nan"), 2.0))
    with pytest.raises(ArgumentError, match="frame must be at least 0"):
        Tracker().add((1.0, 2.0), frame=-1)


def test_a_restored_tracker_knows_its_points(world: World) -> None:
    tracker = Tracker()
    tracker.add(tuple(START.tolist()), "now")
    tracker.add((60.0, 60.0), "later", frame=14)
    for i in range(10):
        tracker.update(*view(world, i))
    restored = restore_tracker(save_tracker(tracker))
    for i in range(10, 20):
        shown = view(world, i)
        tracks, others = tracker.update(*shown), restored.update(*shown)
        np.testing.assert_array_equal(tracks.xy, others.xy)
        assert tracks.labels == others.labels
    assert sorted(tracks.labels.values()) == ["later", "now"]


def test_a_point_on_a_thing_that_moves_alone_is_not_taken_for_an_outlier(world: World) -> None:
    tracker = Tracker()
    sticker = grained_picture((40, 40), 3)
    for i in range(30):
        frame, found = view(world, i, at=0)
        left, top = 60 + 2 * i, 100
        frame.image_bgr[top : top + 40, left : left + 40] = sticker
        if i == 0:
            point = tracker.add((left + 20.0, top + 20.0))
        on_it = ((found.xy >= (left - 8, top - 8)) & (found.xy <= (left + 48, top + 48))).all(axis=1)
        tracks = tracker.update(frame, found.rows(np.flatnonzero(~on_it)))
    there = where(tracks, point)
    assert there is not None
    assert np.linalg.norm(there - (60 + 58 + 20, 120)) < 1
