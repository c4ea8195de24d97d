from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from realtime_kp.apps.live.keys import LiveState, add_region, click, make_reference, press
from realtime_kp.apps.live.recorder import snapshot
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.lens import Lens, StraightView
from realtime_kp.tracking import QueryPoint
from tests.conftest import make_frame

STATE = LiveState(layers=frozenset({"keypoints", "tracks", "hud"}), threshold=0.01)


@pytest.mark.parametrize("key", ["q", "esc"])
def test_quit(key: str) -> None:
    assert press(STATE, key).quitting


@pytest.mark.parametrize(("key", "layer"), [("k", "keypoints"), ("t", "tracks"), ("i", "hud")])
def test_layers_go_and_come(key: str, layer: str) -> None:
    without = press(STATE, key)
    assert without.layers == STATE.layers - {layer}
    assert press(without, key).layers == STATE.layers


def test_space_pauses_and_goes_on() -> None:
    paused = press(STATE, " ")
    assert paused.controls.paused
    assert "PAUSED" in paused.notes(recording=False)
    assert not press(paused, " ").controls.paused


def test_threshold_goes_down_and_up_within_bounds() -> None:
    lower = press(STATE, "e")
    assert lower.threshold < 0.01
    assert press(lower, "r").threshold == pytest.approx(0.01)
    state = STATE
    for _ in range(60):
        state = press(state, "r")
    assert state.threshold < 1
    assert f"threshold {state.threshold:.4f}" in state.notes(recording=False)


def test_help_and_recording_are_shown() -> None:
    assert press(STATE, "h").help_shown
    assert STATE.notes(recording=True) == ("REC",)


def test_regions_are_dragged_toggled_and_cleared() -> None:
    one = add_region(STATE, (300, 200, 100, 50), (640, 480))
    two = add_region(one, (-20, 400, 30, 900), (640, 480), mirror=True)
    assert two.controls.regions == ((100, 50, 200, 150), (610, 400, 30, 80))
    assert add_region(one, (5, 5, 9, 300), (640, 480)) == one
    elsewhere = press(two, "m")
    assert elsewhere.controls.everywhere
    assert not press(elsewhere, "m").controls.everywhere
    assert not add_region(elsewhere, (0, 0, 50, 50), (640, 480)).controls.everywhere
    assert press(two, "c").controls.regions == press(two, "M").controls.regions == ()


def shown(*places: tuple[int, float, float]) -> TrackedFrame:
    """A frame with points of one's own: ids and positions."""
    m = len(places)
    tracks = Tracks(
        np.array([place[0] for place in places], np.int64),
        np.array([place[1:] for place in places], np.float32).reshape(-1, 2),
        np.ones(m, np.float32),
        np.ones(m, np.int32),
        np.ones(m, np.int8),
        np.ones(m, np.bool_),
        np.zeros((m, 1, 2), np.float32),
        labels={place[0]: f"p{place[0]}" for place in places if place[0] != 7},
    )
    return TrackedFrame(make_frame(12, size_wh=(640, 480)), None, tracks)


@pytest.mark.parametrize(("mirror", "x"), [(False, 30.0), (True, 609.0)])
def test_a_click_asks_for_a_point_of_the_frame_that_is_shown(mirror: bool, x: float) -> None:
    state = click(STATE, (30, 40, False), shown(), mirror=mirror)
    assert state.controls.points == (QueryPoint(0, "", (x, 40.0), 12),)
    again = click(state, (50, 60, False), shown(), mirror=mirror)
    assert again.controls.points[:1] == state.controls.points
    assert len(again.controls.points) == 2


def test_a_right_click_gives_up_the_nearest_point() -> None:
    frame = shown((3, 100.0, 100.0), (7, 111.0, 100.0), (9, 118.0, 100.0))
    state = click(STATE, (112, 100, True), frame)
    assert state.controls.removed == {9}
    assert "p9 removed" in state.notes(recording=False)
    assert click(state, (101, 99, True), frame).controls.removed == {3, 9}
    nothing = click(STATE, (300, 300, True), frame)
    assert nothing.controls.removed == frozenset()
    assert "no point within 15 px" in nothing.notes(recording=False)


def test_the_picture_or_the_last_region_of_it_becomes_the_reference() -> None:
    frame = shown()
    whole = make_reference(STATE, frame)
    assert whole.controls.reference is not None
    assert whole.controls.reference.size_wh == (640, 480)
    assert not whole.controls.everywhere
    two = add_region(add_region(STATE, (0, 0, 50, 50), (640, 480)), (100, 60, 300, 200), (640, 480))
    part = make_reference(two, frame)
    assert part.controls.reference is not None
    np.testing.assert_array_equal(part.controls.reference.image_bgr, frame.frame.image_bgr[60:200, 100:300])
    assert part.controls.everywhere
    assert press(part, "b").controls.reference is press(part, "N").controls.reference is None


def test_a_region_that_is_too_small_for_a_reference_is_told() -> None:
    small = add_region(STATE, (0, 0, 20, 100), (640, 480))
    state = make_reference(small, shown())
    assert state.controls.reference is None
    assert "is too small" in " ".join(state.notes(recording=False))


def test_other_keys_change_nothing() -> None:
    assert press(STATE, "x") == STATE


def test_a_snapshot_is_a_picture_and_its_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = make_frame(7)
    note, files = snapshot(frame.image_bgr, TrackedFrame(frame, None, Tracks.empty()))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert [Path(name).suffix for name in names] == [".csv", ".png"]
    assert "f7" in names[0]
    assert names[1] in note
    assert sorted(str(file) for file in files) == names
    with open(names[0], newline="") as table:
        assert next(csv.reader(table))[0] == "frame"


LENS = Lens((640, 480), (400.0, 400.0), (322.0, 236.0), (-0.3, 0.09, 0.001, -0.0005, -0.01))


@pytest.mark.parametrize("mirror", [False, True])
def test_clicks_on_the_straightened_picture_are_those_of_the_source(mirror: bool) -> None:
    view = StraightView.of(LENS)
    ((x, y),) = np.rint(view.from_source(np.array([[100, 80]], np.float32))).astype(int).tolist()
    assert abs(x - 100) > 10
    state = click(STATE, (639 - x if mirror else x, y, False), shown(), mirror=mirror, view=view)
    np.testing.assert_allclose(state.points[0].xy, (100, 80), atol=1.5)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_region_of_the_straightened_picture_holds_all_that_was_dragged(mirror: bool) -> None:
    view = StraightView.of(LENS)
    corners = np.array([[100, 80], [400, 300]], np.float32)
    (x0, y0), (x1, y1) = np.rint(view.from_source(corners)).astype(int).tolist()
    drag = (639 - x0, y0, 639 - x1, y1) if mirror else (x0, y0, x1, y1)
    ((left, top, width, height),) = add_region(STATE, drag, (640, 480), mirror=mirror, view=view).regions
    assert left <= 102
    assert top <= 82
    assert left + width >= 398
    assert top + height >= 298
    assert 300 <= width < 380
