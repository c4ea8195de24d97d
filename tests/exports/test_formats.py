"""What other tools are given: numbers at known places in known files."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.exports import FORMATS, TrackTable, check_export, export_tracks
from realtime_kp.tracking import read_query_points
from tests.conftest import write_clip

NOTES = {"width": 640, "height": 480, "fps": 30.0, "source": "clips/walk.mp4"}
# The track "nose" is not seen in frame 2; track 5 is lost in its last frame.
TABLE = TrackTable(
    {
        "frame": np.array([0, 0, 1, 1, 2, 3, 3]),
        "track_id": np.array([3, 5, 3, 5, 5, 3, 5]),
        "x": np.array([0.0, 100.25, 10.5, 101.0, 102.0, 30.0, 200.0]),
        "y": np.array([0.0, 200.75, 20.25, 201.0, 202.0, 40.0, 300.0]),
        "state": np.array(["confirmed"] * 6 + ["lost"], object),
        "label": np.array(["nose", "", "nose", "", "", "nose", ""], object),
    },
    NOTES,
)
NEEDS = {"mcap": "mcap", "rerun": "rerun"}
SUFFIX = {name: made.suffix for name, made in FORMATS.items() if name != "colmap"}  # type: ignore[attr-defined]
FILES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(NEEDS.get(name, "numpy")) is None,
            reason=f"needs pip install 'realtime-kp[{name}]'",
        ),
    )
    for name in SUFFIX
]


def written(folder: Path, name: str, table: TrackTable = TABLE, **options: Any) -> Path:
    path = folder / f"out{SUFFIX[name]}"
    export_tracks(table, name, path, **options)
    return path


def test_nuke_has_y_up_and_begins_at_frame_1(tmp_path: Path) -> None:
    text = written(tmp_path, "nuke").read_text()
    assert "tracks { { 1 31 2 }" in text
    rows = re.findall(r'\{ \{curve K(.*?)\} "(.*?)" \{curve (.*?)\} \{curve (.*?)\} (.*) \}', text)
    assert rows[0][:4] == (
        " x1 1 x3 0 x4 1 x5 0",
        "nose",
        "x1 0.500 x2 11.000 x4 30.500",
        "x1 479.500 x2 459.250 x4 439.500",
    )
    assert rows[1][:2] == (" x1 1 x4 0", "track5")
    assert rows[1][2] == "x1 100.750 x2 101.500 x3 102.500"
    # As many values as there are columns.
    assert len(re.findall(r"\{\}|-?\d+", rows[0][4])) + 4 == 31
    assert text.count("{") == text.count("}")


def test_of_every_second_frame_a_track_goes_on_in_between(tmp_path: Path) -> None:
    columns = {
        "frame": np.array([0, 2, 4, 8, 10]),
        "track_id": np.ones(5, np.int64),
        "x": np.arange(5.0),
        "y": np.arange(5.0),
        "state": np.array(["confirmed"] * 5, object),
        "label": np.array([""] * 5, object),
    }
    text = written(tmp_path, "nuke", TrackTable(columns, NOTES), every=2).read_text()
    assert "{curve K x1 1 x6 0 x9 1 x12 0}" in text


def test_after_effects_gets_the_usual_rate_of_a_measured_one(tmp_path: Path) -> None:
    for fps, told in ((29.965, "29.97003"), (25.001, "25"), (27.5, "27.5")):
        path = tmp_path / str(fps)
        path.mkdir()
        text = written(path, "after-effects", TrackTable(TABLE.columns, {**NOTES, "fps": fps})).read_text()
        assert f"Units Per Second\t{told}\n" in text


def test_a_label_is_no_tcl(tmp_path: Path) -> None:
    label = 'a} [exec touch x]"; ${b \\'
    columns = {**TABLE.columns, "label": np.array([label] * 7, object)}
    text = written(tmp_path, "nuke", TrackTable(columns, NOTES)).read_text()
    assert '"a) (exec touch x)\'_ _(b /"' in text
    assert text.count("{") == text.count("}")
    assert not set("[]$;\\") & set(text)


def test_3de(tmp_path: Path) -> None:
    assert written(tmp_path, "3de").read_text().splitlines() == [
        *("2", "nose", "0", "3"),
        *("1 0.500000 479.500000", "2 11.000000 459.250000", "4 30.500000 439.500000"),
        *("track5", "0", "3"),
        *("1 100.750000 278.750000", "2 101.500000 278.500000", "3 102.500000 277.500000"),
    ]


def test_after_effects_has_y_down_and_begins_at_frame_0(tmp_path: Path) -> None:
    lines = written(tmp_path, "after-effects").read_bytes().decode().split("\r\n")
    assert lines[0] == "Adobe After Effects 8.0 Keyframe Data"
    assert {"\tUnits Per Second\t30", "\tSource Width\t640", "\tSource Height\t480"} <= set(lines)
    start = lines.index("Motion Trackers\tTracker #1\tTrack Point #1\tFeature Center")
    assert lines[start + 1 : start + 6] == [
        "\tFrame\tX pixels\tY pixels",
        *("\t0\t0.500\t0.500", "\t1\t11.000\t20.750", "\t3\t30.500\t40.500", ""),
    ]
    assert "Motion Trackers\tTracker #1\tTrack Point #2\tAttach Point" in lines
    assert lines[-2:] == ["End of Keyframe Data", ""]


class FakeBlender:
    """The few parts of Blender's `bpy` that the script uses."""

    def __init__(self) -> None:
        self.made: dict[str, list[SimpleNamespace]] = {}
        self.clips = [
            SimpleNamespace(name=name, size=size, tracking=SimpleNamespace(tracks=self))
            for name, size in (("other.mp4", (640, 480)), ("walk.mp4", (640, 480)))
        ]
        self.data = SimpleNamespace(movieclips=self.clips)

    def new(self, name: str, frame: int) -> SimpleNamespace:
        markers = self.made[name] = []

        def insert_frame(frame: int, co: tuple[float, float]) -> SimpleNamespace:
            markers.append(SimpleNamespace(frame=frame, co=co, mute=False))
            return markers[-1]

        def find_frame(frame: int) -> SimpleNamespace:
            return next(one for one in markers if one.frame == frame)

        return SimpleNamespace(markers=SimpleNamespace(insert_frame=insert_frame, find_frame=find_frame))


def test_blenders_script_fills_the_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = 'a "b" \\n \'\'\' """'
    labels = np.array([label if text else "" for text in TABLE.columns["label"]], object)
    table = TrackTable({**TABLE.columns, "label": labels}, NOTES)
    blender = FakeBlender()
    monkeypatch.setitem(sys.modules, "bpy", blender)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", ["blender"])
    runpy.run_path(str(written(tmp_path, "blender", table)))
    assert list(blender.made) == [label, "track5"]
    markers = [(one.frame, one.mute) for one in blender.made[label]]
    assert markers == [(1, False), (2, False), (4, False), (3, True), (5, True)]
    np.testing.assert_allclose(blender.made[label][0].co, (0.5 / 640, 479.5 / 480), atol=1e-6)
    np.testing.assert_allclose(blender.made["track5"][2].co, (102.5 / 640, 277.5 / 480), atol=1e-6)


def test_the_script_runs_in_blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bpy = pytest.importorskip("bpy", reason="Blender as a module is not installed: pip install bpy")
    clip = write_clip(tmp_path / "walk.mp4", [np.zeros((480, 640, 3), np.uint8)] * 4, fps=30)
    monkeypatch.setattr(sys, "argv", ["blender", "--", str(clip)])
    runpy.run_path(str(written(tmp_path, "blender")))
    tracks = bpy.data.movieclips[-1].tracking.tracks
    assert [track.name for track in tracks] == ["nose", "track5"]
    found = {marker.frame: (tuple(marker.co), marker.mute) for marker in tracks[0].markers}
    assert [frame for frame, (_, mute) in sorted(found.items()) if not mute] == [1, 2, 4]
    np.testing.assert_allclose(found[2][0], (11 / 640, 459.25 / 480), atol=1e-6)


def test_tap_vid_and_its_queries_come_back(tmp_path: Path) -> None:
    with np.load(written(tmp_path, "tapvid")) as file:
        arrays = dict(file)
    assert arrays["points"].shape == (2, 4, 2)
    assert arrays["ids"].tolist() == [3, 5]
    assert arrays["occluded"].tolist() == [[False, False, True, False], [False, False, False, True]]
    np.testing.assert_allclose(arrays["points"][0, 1] * (640, 480) - 0.5, (10.5, 20.25), atol=1e-3)
    assert np.isnan(arrays["points"][0, 2]).all()
    (tmp_path / "q.json").write_text(str({"query_points": arrays["query_points"].tolist()}).replace("'", '"'))
    points = read_query_points(tmp_path / "q.json")
    assert [(point.frame, point.xy) for point in points] == [(0, (0.0, 0.0)), (0, (100.25, 200.75))]


@pytest.mark.parametrize("name", FILES)
def test_short_tracks_and_frames_between_are_left_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"o{SUFFIX[name]}"
    assert export_tracks(TABLE, name, path, every=2) == 1  # track 5, frames 0 and 2
    assert export_tracks(TABLE, name, path, every=3, min_length=1) == 2
    with pytest.raises(SourceError, match="seen in 4 frames or more"):
        export_tracks(TABLE, name, path, min_length=4)


@pytest.mark.parametrize("name", FILES)
def test_nothing_half_written_stays(tmp_path: Path, name: str) -> None:
    bad = TrackTable({**TABLE.columns, "x": np.full(7, np.nan)}, NOTES)
    with pytest.raises(SourceError, match="position that is no number"):
        written(tmp_path, name, bad)
    with pytest.raises(SourceError, match="--size"):
        written(tmp_path, name, TrackTable(TABLE.columns, {}))
    with pytest.raises(SourceError, match="holds no tracks"):
        written(tmp_path, name, TABLE.where(np.zeros(7, np.bool_)))
    with pytest.raises(SinkError, match="cannot write"):
        export_tracks(TABLE, name, tmp_path / "none" / f"o{SUFFIX[name]}")
    assert list(tmp_path.iterdir()) == []
    written(tmp_path, name, TrackTable(TABLE.columns, {}), size_wh=(640, 480))


def test_formats_and_their_files() -> None:
    with pytest.raises(ConfigError, match="no export format 'maya', but colmap, nuke"):
        check_export("maya", Path("t.ma"))
    with pytest.raises(ConfigError, match=r"nuke is written as \.nk, got 't\.txt'"):
        check_export("nuke", Path("t.txt"))
