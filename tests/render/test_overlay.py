from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtime_kp import Keypoints, TrackState
from realtime_kp.config import HudCorner, HudLines
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Detection, TrackedFrame, Tracks
from realtime_kp.render import HudInfo, Look, draw_help, render
from realtime_kp.render.colours import colour_numbers, id_palette, score_colours

HUD = HudInfo(29.9, 40, 60, 1, 2, 300, 8.4, 3, 200, "openvino cpu bf16", ("PAUSED",))


def tracked(size_wh: tuple[int, int] = (320, 240), state: TrackState = TrackState.CONFIRMED) -> TrackedFrame:
    image = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    keypoints = Keypoints(
        np.array([[200.0, 150.0]], np.float32), np.array([0.5], np.float32), np.ones((1, 1), np.float32)
    )
    trail = np.array([[[np.nan, np.nan], [40, 200], [60, 200], [80, 200]]], np.float32)
    tracks = Tracks(
        np.array([7]),
        np.array([[80.0, 200.0]], np.float32),
        np.array([0.5], np.float32),
        np.array([3], np.int32),
        np.array([state], np.int8),
        np.array([True]),
        trail,
    )
    return TrackedFrame(Frame(0, 0.0, 0.0, image), keypoints, tracks)


def changed(image: np.ndarray) -> np.ndarray:
    return (image != 90).any(axis=2)


def test_the_frame_itself_is_not_touched() -> None:
    frame = tracked()
    render(frame, {"keypoints", "tracks", "hud"}, hud=HUD)
    assert not changed(frame.frame.image_bgr).any()


def test_keypoints_are_drawn_where_they_are() -> None:
    y, x = np.nonzero(changed(render(tracked(), {"keypoints"})))
    assert abs(x.mean() - 200) < 0.6
    assert abs(y.mean() - 150) < 0.6
    assert np.ptp(x) < 10


def seen_later(age: int, near_xy: tuple[float, float] = (170.0, 130.0), dropped: int = 0) -> np.ndarray:
    """Rings of keypoints of an earlier frame; tracks have moved by (14, -6) in two updates."""
    count, gone = 12, np.array([14.0, -6.0], np.float32)
    before = (np.array(near_xy) + np.random.default_rng(0).uniform(-20, 20, (count, 2))).astype(np.float32)
    trails = np.stack([before, before + gone / 2, before + gone], axis=1)
    tracks = Tracks(
        np.arange(count),
        before + gone,
        np.ones(count, np.float32),
        np.full(count, 3, np.int32),
        np.full(count, TrackState.CONFIRMED, np.int8),
        np.ones(count, np.bool_),
        trails,
    )
    one = tracked()
    assert one.keypoints is not None
    frame = replace(one.frame, index=5)
    found = Detection(5 - age - dropped, 0.1, 100_000_000, frame.size_wh, one.keypoints)
    later = TrackedFrame(frame, None, tracks, newest=found, updates_since_newest=age)
    return changed(render(later, {"keypoints"}))


@pytest.mark.parametrize("dropped", [0, 2])
def test_keypoints_of_an_earlier_frame_are_drawn_where_the_tracks_have_gone(dropped: int) -> None:
    y, x = np.nonzero(seen_later(age=2, dropped=dropped))
    assert abs(x.mean() - 214) < 0.6
    assert abs(y.mean() - 144) < 0.6


@pytest.mark.parametrize(("age", "near_xy"), [(3, (170.0, 130.0)), (2, (60.0, 60.0))])
def test_keypoints_that_nothing_carries_here_are_not_drawn(age: int, near_xy: tuple[float, float]) -> None:
    assert not seen_later(age, near_xy).any()


def test_a_trail_leads_to_its_track_in_the_colour_of_its_id() -> None:
    image = render(tracked(), {"tracks"}, look=Look(colour="id", trails="plain"))
    y, x = np.nonzero(changed(image))
    assert x.min() in (39, 40)
    assert x.max() // 4 == 20
    assert np.ptp(y) < 8
    wanted = id_palette()[colour_numbers(np.array([7]))[0]].astype(int)
    assert np.abs(image[200, 60] - wanted).max() < 40


def test_trails_fade() -> None:
    frame = tracked()
    frame.tracks.trails_xy[0] = [[20, 200], [40, 200], [60, 200], [80, 200]]
    image = render(frame, {"tracks"}, look=Look(colour="id"))
    strength = [np.abs(image[200, x].astype(int) - 90).sum() for x in (25, 50, 70)]
    assert 0 < strength[0] < 0.7 * strength[1] < 0.6 * strength[2]


def test_the_trail_can_be_shorter() -> None:
    _, x = np.nonzero(changed(render(tracked(), {"tracks"}, look=Look(trail_length=2))))
    assert x.min() >= 58


def test_no_line_is_drawn_across_a_gap() -> None:
    frame = tracked()
    frame.tracks.trails_xy[0] = [[20, 50], [np.nan, np.nan], [60, 200], [80, 200]]
    y, _ = np.nonzero(changed(render(frame, {"tracks"})))
    assert y.min() > 190


@pytest.mark.parametrize("mirror", [False, True])
def test_points_of_ones_own_are_larger_and_named(mirror: bool) -> None:
    plain = tracked()
    named = replace(plain, tracks=replace(plain.tracks, labels={7: "nose"}))
    before, after = (
        changed(render(one, {"tracks"}, look=Look(trail_length=1), mirror=mirror)) for one in (plain, named)
    )
    at = 319 - 80 if mirror else 80
    _, x = np.nonzero(before)
    assert np.ptp(x) < 8
    # The name stands to the right, also in a mirrored picture.
    _, x = np.nonzero(after)
    assert at - 10 <= x.min() < at - 2
    assert x.max() > at + 25


@pytest.mark.parametrize("state", [TrackState.TENTATIVE, TrackState.LOST])
def test_only_confirmed_tracks_are_drawn(state: TrackState) -> None:
    assert not changed(render(tracked(state=state), {"tracks"})).any()


def test_nothing_is_drawn_without_layers() -> None:
    assert not changed(render(tracked(), frozenset(), hud=HUD)).any()


def test_the_hud_stands_in_its_corner_also_when_mirrored() -> None:
    plain, mirrored = (
        render(tracked(), {"hud"}, look=Look(hud="full"), hud=HUD, mirror=mirror) for mirror in (False, True)
    )
    assert (plain == mirrored).all()
    assert changed(plain)[:28, :100].mean() > 0.9
    assert not changed(plain)[200:].any()


def test_mirroring_flips_the_picture() -> None:
    _, x = np.nonzero(changed(render(tracked(), {"keypoints"}, mirror=True)))
    assert abs(x.mean() - 119) < 0.6


@pytest.mark.parametrize("size_wh", [(16, 16), (320, 240), (1920, 1080)])
def test_panels_fit_any_size(size_wh: tuple[int, int]) -> None:
    image = render(tracked(size_wh), {"keypoints", "tracks", "hud"}, hud=HUD)
    draw_help(image)
    assert image.shape == (size_wh[1], size_wh[0], 3)


def test_tracks_far_outside_do_no_harm() -> None:
    frame = tracked()
    frame.tracks.xy[0] = [1e12, -1e12]
    frame.tracks.trails_xy[0, -1] = [1e12, -1e12]
    render(frame, {"tracks"})


def test_the_hud_tells_the_figures() -> None:
    text = "\n".join(HUD.lines())
    for part in (
        "29.9 FPS",
        "p50 40 ms",
        "p95 60 ms",
        "queue 1",
        "dropped 2",
        "keypoints 300",
        "detections 8.4/s, 3 frames old",
        "tracks 200",
        "PAUSED",
    ):
        assert part in text
    assert "openvino cpu bf16" in text


def test_neighbouring_ids_have_different_colours() -> None:
    colours = id_palette()[colour_numbers(np.arange(1, 50))].astype(float)
    assert np.linalg.norm(np.diff(colours, axis=0), axis=1).min() > 60


def test_scores_run_from_blue_to_red() -> None:
    weak, strong = score_colours(np.array([0.001, 1.0], np.float32)).astype(int)
    assert weak[0] > weak[2]
    assert strong[2] > strong[0]


@pytest.mark.parametrize(
    "size_wh", [(640, 480), (320, 240), (160, 120), (240, 426), (480, 854), (1920, 1080)]
)
@pytest.mark.parametrize("hud", ["line", "full"])
@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_figures_cover_at_most_a_twelfth_of_a_corner(
    size_wh: tuple[int, int], hud: HudLines, corner: HudCorner
) -> None:
    frame = Frame(0, 0.0, 0.0, np.full((size_wh[1], size_wh[0], 3), 200, np.uint8))
    image = render(
        TrackedFrame(frame, None, Tracks.empty()), {"hud"}, look=Look(hud=hud, hud_at=corner), hud=HUD
    )
    drawn = (image != 200).any(axis=2)
    assert 0 < drawn.mean() <= 0.08
    row, column = (0 if part in corner else -1 for part in ("top", "left"))
    assert drawn[row, column]
    assert not drawn[-1 - row].any()


def test_the_line_tells_what_matters() -> None:
    assert HUD.parts() == ("29.9 FPS", "200 tracks", "p95 60 ms", "2 dropped", "PAUSED")
    done = replace(HUD, progress="frame 120 of 455", dropped=0, notes=())
    assert done.parts() == ("29.9 frames/s", "200 tracks", "frame 120 of 455")


def test_a_recording_shows_how_much_is_done_instead_of_a_latency() -> None:
    lines = replace(HUD, progress="frame 120 of 455").lines()
    assert lines[0] == "29.9 frames/s  frame 120 of 455"
    assert not any("latency" in line or "queue" in line for line in lines)
    assert "PAUSED" in lines
