from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from realtime_kp import Keypoints, Tracker, TrackState
from realtime_kp.keypoints import Tracks
from tests.conftest import make_frame

RNG = np.random.default_rng(0)
WORLD_XY = RNG.uniform((40, 40), (600, 440), (200, 2)).astype(np.float32)
WORLD_DESCRIPTORS = RNG.normal(size=(200, 64)).astype(np.float32)
WORLD_DESCRIPTORS /= np.linalg.norm(WORLD_DESCRIPTORS, axis=1, keepdims=True)
SIZE = (640, 480)


def seen(
    rows: np.ndarray | None = None, shift: tuple[float, float] = (0, 0), noise_px: float = 0.0
) -> Keypoints:
    """The points of the world that are in view, moved; descriptors vary a little from frame to frame."""
    rows = np.arange(len(WORLD_XY)) if rows is None else rows
    xy = (
        WORLD_XY[rows]
        + np.array(shift, np.float32)
        + RNG.normal(0, noise_px, (len(rows), 2)).astype(np.float32)
    )
    descriptors = WORLD_DESCRIPTORS[rows] + RNG.normal(0, 0.02, (len(rows), 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Keypoints(xy.astype(np.float32), np.linspace(0.9, 0.1, len(rows)).astype(np.float32), descriptors)


def tracker_of(**settings: Any) -> Tracker:
    return Tracker(kind="descriptor", **settings)


def run(tracker: Tracker, views: list[Keypoints | None], first: int = 0) -> list[Tracks]:
    return [tracker.update(make_frame(first + i, SIZE), view) for i, view in enumerate(views)]


def id_of(tracks: Tracks, row: int, shift: tuple[float, float] = (0, 0)) -> int:
    gap = np.linalg.norm(tracks.xy - (WORLD_XY[row] + np.array(shift, np.float32)), axis=1)
    assert gap.min() < 2
    return int(tracks.ids[gap.argmin()])


def test_tracks_are_tentative_then_confirmed_and_keep_their_ids() -> None:
    tracks = run(tracker_of(confirm_after=3), [seen(), seen(), seen(), seen()])
    assert [len(t.seen_confirmed) for t in tracks] == [0, 0, 200, 200]
    assert (tracks[0].states == TrackState.TENTATIVE).all()
    assert tracks[3].ids.tolist() == list(range(1, 201))
    assert (tracks[3].lengths == 4).all()


def test_confirmed_at_once_if_asked() -> None:
    assert len(run(tracker_of(confirm_after=1), [seen()])[0].confirmed) == 200


def test_a_tentative_track_that_is_missed_ends() -> None:
    tracks = run(tracker_of(confirm_after=3), [seen(), seen(np.arange(100))])
    assert len(tracks[1]) == 100


def test_tracks_follow_a_pan_and_the_truth() -> None:
    shifts = [(9.0 * i, 4.0 * i) for i in range(8)]
    tracks = run(tracker_of(confirm_after=3), [seen(shift=s, noise_px=0.3) for s in shifts])
    assert tracks[-1].ids.tolist() == list(range(1, 201))
    gap = np.linalg.norm(tracks[-1].xy - WORLD_XY - np.array(shifts[-1], np.float32), axis=1)
    assert gap.max() < 2


def test_a_lost_track_returns_with_its_id_although_the_camera_moved_on() -> None:
    hidden, rest = np.arange(60), np.arange(60, 200)
    views: list[Keypoints | None] = [seen(shift=(3.0 * i, 0)) for i in range(5)]
    views += [seen(rest, shift=(3.0 * i, 0)) for i in range(5, 25)]
    views += [seen(shift=(3.0 * i, 0)) for i in range(25, 27)]
    tracks = run(tracker_of(max_age=30), views)
    lost = tracks[15].where(tracks[15].states == TrackState.LOST)
    assert set(lost.ids.tolist()) == {id_of(tracks[4], row, (12.0, 0)) for row in hidden}
    for row in (0, 30, 59):
        assert id_of(tracks[-1].confirmed, row, (78.0, 0)) == id_of(tracks[4], row, (12.0, 0))
    assert len(tracks[-1]) == 200


def test_a_track_lost_for_too_long_ends_and_its_id_is_not_used_again() -> None:
    rest = np.arange(60, 200)
    tracks = run(tracker_of(max_age=5), [seen()] * 4 + [seen(rest)] * 8 + [seen()] * 4)
    before, after = set(tracks[3].ids.tolist()), set(tracks[-1].ids.tolist())
    assert len(tracks[11]) == 140
    assert len(after) == 200
    assert min(after - before) > max(before)


def test_two_points_never_share_a_track_nor_two_tracks_a_point() -> None:
    tracker = tracker_of(confirm_after=3)
    for i in range(12):
        rows = RNG.permutation(200)[: RNG.integers(120, 200)]
        tracks = tracker.update(make_frame(i, SIZE), seen(rows, noise_px=0.5))
        assert len(set(tracks.ids.tolist())) == len(tracks)
        places = tracks.where(tracks.seen).xy
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places)) * 99
        assert gaps.min() > 1e-3


def test_an_object_that_moves_on_its_own_is_followed() -> None:
    moving = np.flatnonzero(np.linalg.norm(WORLD_XY - [320, 240], axis=1) < 110)
    still = np.setdiff1d(np.arange(200), moving)
    tracker = tracker_of(confirm_after=3)
    first = last = Tracks.empty()
    for i in range(8):
        shift = np.array([6.0 * i, 0], np.float32)
        a, b = seen(still), seen(moving, shift=(float(shift[0]), 0))
        both = Keypoints(
            *(
                np.concatenate([x, y])
                for x, y in ((a.xy, b.xy), (a.scores, b.scores), (a.descriptors, b.descriptors))
            )
        )
        last = tracker.update(make_frame(i, SIZE), both)
        first = last if i == 2 else first
    kept = [id_of(first, row, (12.0, 0)) == id_of(last, row, (42.0, 0)) for row in moving]
    assert len(moving) > 10
    assert np.mean(kept) > 0.9


def test_without_keypoints_tracks_coast_and_are_not_seen() -> None:
    views: list[Keypoints | None] = [seen(shift=(5.0 * i, 0)) for i in range(4)]
    tracks = run(tracker_of(confirm_after=3), [*views, None, None, seen(shift=(30.0, 0))])
    assert not tracks[4].seen.any()
    assert len(tracks[5].confirmed) == 200
    assert np.median(np.linalg.norm(tracks[5].xy - WORLD_XY - [25, 0], axis=1)) < 1
    assert len(tracks[5].seen_confirmed) == 0
    assert (tracks[6].lengths == 5).all()


def test_every_third_frame_detected_still_gives_long_tracks() -> None:
    views = [seen(shift=(4.0 * i, 2.0 * i)) if i % 3 == 0 else None for i in range(16)]
    tracks = run(tracker_of(confirm_after=3), views)
    assert tracks[-1].ids.tolist() == list(range(1, 201))
    assert (tracks[-1].lengths == 6).all()


def test_a_new_frame_size_ends_all_tracks_and_ids_go_on() -> None:
    tracker = tracker_of(confirm_after=3)
    run(tracker, [seen()] * 3)
    tracks = tracker.update(make_frame(3, (320, 240)), seen())
    assert tracks.ids.min() == 201
    assert (tracks.lengths == 1).all()


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_few_keypoints_do_no_harm(count: int) -> None:
    tracks = run(
        tracker_of(confirm_after=3),
        [seen(np.arange(count))] * 4 + [seen(np.arange(0))] * 2 + [seen(np.arange(count))] * 4,
    )
    assert len(tracks[-1].confirmed) == count
    assert len(tracks[5].confirmed) == 0
    assert tracks[-1].ids.tolist() == list(range(1, count + 1))


def test_a_cut_to_another_scene_ends_nothing_wrongly() -> None:
    other = np.arange(100, 200)
    tracks = run(tracker_of(confirm_after=3), [seen(np.arange(100))] * 5 + [seen(other)] * 5)
    assert set(tracks[4].ids.tolist()).isdisjoint(tracks[-1].confirmed.ids.tolist())
    assert len(tracks[-1].confirmed) == 100


def test_the_number_of_tracks_is_bounded() -> None:
    tracker = tracker_of(max_tracks=50, max_lost=20, max_age=100)
    for i in range(30):
        tracks = tracker.update(make_frame(i, SIZE), seen(RNG.permutation(200)[:120]))
        assert (tracks.states != TrackState.LOST).sum() <= 50 + 20
        assert (tracks.states == TrackState.LOST).sum() <= 20


def test_counts_tell_what_became_of_the_tracks() -> None:
    tracker = tracker_of(max_age=2)
    run(tracker, [seen()] * 4 + [seen(np.arange(100))] * 6)
    counts = tracker.counts
    assert (counts.started, counts.confirmed) == (200, 200)
    assert counts.mean_length == pytest.approx((100 * 4 + 100 * 10) / 200)


def test_trails_end_at_the_track_and_leave_gaps_where_it_was_lost() -> None:
    rest = np.arange(100, 200)
    tracks = run(tracker_of(trail_length=6), [seen()] * 4 + [seen(rest)] + [seen()] * 1)
    trails = tracks[-1].trails_xy
    np.testing.assert_allclose(trails[:, -1], tracks[-1].xy)
    assert trails.shape == (200, 6, 2)
    assert np.isnan(trails[:100, -2]).all()
    assert not np.isnan(trails[100:, -2]).any()


def test_results_are_not_touched_by_later_frames() -> None:
    tracker = tracker_of(confirm_after=3)
    first = tracker.update(make_frame(0, SIZE), seen())
    copy = first.xy.copy()
    run(tracker, [seen(shift=(5, 5))] * 3, first=1)
    assert (first.xy == copy).all()


def test_iterating_gives_track_views() -> None:
    track = next(iter(run(tracker_of(confirm_after=3), [seen()] * 3)[-1]))
    assert (track.id, track.length, track.state, track.seen) == (1, 3, TrackState.CONFIRMED, True)
    assert track.trail_xy.shape == (3, 2)


def test_a_thousand_tracks_take_at_most_eight_milliseconds() -> None:
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(1)
    world = rng.uniform((0, 0), (640, 480), (1000, 2)).astype(np.float32)
    descriptors = rng.normal(size=(1000, 256)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    tracker = tracker_of(confirm_after=3)
    took_ms = []
    with threadpool_limits(limits=1):
        for i in range(40):
            xy = (world + rng.normal(0, 0.5, world.shape) + [3 * np.sin(i / 5), i * 0.2]).astype(np.float32)
            keypoints = Keypoints(xy, np.linspace(1, 0.01, 1000).astype(np.float32), descriptors)
            frame = make_frame(i, SIZE)
            started_s = time.perf_counter()
            tracks = tracker.update(frame, keypoints)
            took_ms.append((time.perf_counter() - started_s) * 1e3)
    assert len(tracks.confirmed) >= 990
    # The least disturbed frames: what the work costs, not what the machine was doing beside it.
    assert np.percentile(took_ms[5:], 25) <= 8
