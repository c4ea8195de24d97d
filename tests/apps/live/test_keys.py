from __future__ import annotations

import csv
from pathlib import Path

import pytest

from realtime_kp.apps.live.keys import LiveState, add_region, press, snapshot
from realtime_kp.keypoints import TrackedFrame, Tracks
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
    assert add_region(one, (5, 5, 9, 300), (640, 480)) == one  # a click
    elsewhere = press(two, "m")
    assert elsewhere.controls.everywhere
    assert not press(elsewhere, "m").controls.everywhere
    assert not add_region(elsewhere, (0, 0, 50, 50), (640, 480)).controls.everywhere
    assert press(two, "M").controls.regions == ()


def test_other_keys_change_nothing() -> None:
    assert press(STATE, "x") == STATE


def test_a_snapshot_is_a_picture_and_its_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = make_frame(7)
    note = snapshot(frame.image_bgr, TrackedFrame(frame, None, Tracks.empty()))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert [Path(name).suffix for name in names] == [".csv", ".png"]
    assert "f7" in names[0]
    assert names[1] in note
    with open(names[0], newline="") as table:
        assert next(csv.reader(table))[0] == "frame"
