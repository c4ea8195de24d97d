from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import realtime_kp as rk
from realtime_kp.cli import main
from realtime_kp.errors import ArgumentError, ConfigError, SourceError
from realtime_kp.exports import TrackTable, read_tracks
from realtime_kp.exports import track_table as reading

SUFFIXES = [".csv", ".jsonl", ".parquet"]
HEAD = "frame,time_s,track_id,x,y,score,length,sigma_px,state,label"
ROWS = """\
1,0.040000,2,3.500,4.250,0.50000,2,,confirmed,007
0,0.000000,1,10.000,20.000,0.25000,1,0.125,confirmed,
1,0.040000,1,11.000,21.000,0.25000,2,0.125,lost,"a, b"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of one run in all formats."""
    folder = tmp_path_factory.mktemp("tables")
    for suffix in SUFFIXES:
        words = ["video", "demo?size=320x240", "--max-frames", "5", "--model", "small", "--resize", "320"]
        assert main([*words, "-q", "--no-video", "--tracks", str(folder / f"t{suffix}")]) == 0
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_tells_of_itself(folder: Path, suffix: str) -> None:
    table = read_tracks(folder / f"t{suffix}")
    assert table.size_wh == (320, 240)
    assert table.fps == 30
    assert table.notes["source"] == "demo"
    assert table.notes["settings"]["superpoint"]["resize"] == "320"
    assert "centre of the top left pixel is at (0, 0)" in table.notes["coordinates"]
    assert len(table) > 200


def test_all_formats_hold_the_same(folder: Path) -> None:
    first, *others = (read_tracks(folder / f"t{suffix}") for suffix in SUFFIXES)
    for other in others:
        assert list(other.columns) == list(first.columns)
        for name, column in first.columns.items():
            np.testing.assert_array_equal(column, other.columns[name])
            assert column.dtype == other.columns[name].dtype


def test_parquet_keeps_its_notes_as_a_key(folder: Path) -> None:
    import pyarrow.parquet as pq

    metadata = pq.read_schema(folder / "t.parquet").metadata
    assert json.loads(metadata[b"realtime_kp"])["width"] == 320
    assert not (folder / "t.parquet.json").exists()
    assert (folder / "t.csv.json").exists()


@pytest.mark.parametrize("with_arrow", [True, False])
def test_rows_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_arrow: bool) -> None:
    if not with_arrow:
        monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    path = tmp_path / "t.csv"
    path.write_text(f"{HEAD}\n{ROWS}")
    table = read_tracks(path)
    assert table.frames.tolist() == [0, 1, 1]
    assert table.ids.tolist() == [1, 1, 2]
    assert table.xy.tolist() == [[10, 20], [11, 21], [3.5, 4.25]]
    np.testing.assert_array_equal(table.columns["sigma_px"], [0.125, 0.125, np.nan])
    assert table.columns["label"].tolist() == ["", "a, b", "007"]
    assert (table.frames.dtype, table.ids.dtype) == (np.int64, np.int64)
    assert table.notes == {}
    assert table.size_wh is None
    assert table.fps == pytest.approx(25)


def test_parts_of_a_table(folder: Path) -> None:
    table = rk.read_tracks(str(folder / "t.csv"))
    track_id = int(table.ids[0])
    one = table.track(track_id)
    assert set(one.ids.tolist()) == {track_id}
    assert (np.diff(one.frames) > 0).all()
    assert set(table.frame(3).frames.tolist()) == {3}
    rows = dict(table.tracks())
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(len(table)))
    np.testing.assert_array_equal(table.xy[rows[track_id]], one.xy)


def test_pandas_where_it_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_tracks(folder / "t.csv")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pip install pandas"):
        table.to_pandas()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "frame,track_id,x\n0,1,2\n", "needs the column y, it has frame, track_id, x"),
        ("t.csv", "", "no tracks table"),
        ("t.csv", "frame,track_id,x,y\n0,1,2\n", "no tracks table"),
        ("t.csv", "frame,track_id,x,y\n0,1,a,3\n", "column x holds something else than numbers"),
        ("t.csv", "frame,track_id,x,y\n0.5,1,2,3\n", "column frame holds something else than whole numbers"),
        ("t.jsonl", '{"frame": 0}\n', "needs the column track_id"),
        ("t.jsonl", "{\n", "no tracks table"),
        ("t.jsonl", '{"frame": 0, "track_id": 1, "x": 2, "y": 3}\n{"frame": 1}\n', "the same keys"),
        ("t.parquet", "PAR1", "no tracks table"),
    ],
)
def test_what_is_no_table(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=message):
        read_tracks(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_tracks(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"ends in \.csv, \.jsonl, \.parquet"):
        read_tracks(tmp_path / "t.txt")
    (tmp_path / "t.csv").write_text("frame,track_id,x,y\n0,1,2,3\n")
    (tmp_path / "t.csv.json").write_text("{")
    with pytest.raises(SourceError, match=r"notes of t\.csv"):
        read_tracks(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("-5,1,1,5\n0,1,6,6\n", "it has a frame -5"),
        ("0,1,6,6\n1000000000,1,7,7\n", "it has a frame 1000000000"),
        ("0,1,6,6\n2,1,7,7\n0,1,8,8\n", "track 1 is twice in frame 0"),
    ],
)
def test_impossible_rows(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "t.csv").write_text("frame,track_id,x,y\n" + rows)
    with pytest.raises(SourceError, match=message):
        read_tracks(tmp_path / "t.csv")


def test_impossible_tables() -> None:
    with pytest.raises(ArgumentError, match="needs the column frame"):
        TrackTable({}, {})
    columns = {name: np.zeros(2) for name in reading.NEEDED}
    with pytest.raises(ArgumentError, match="one length"):
        TrackTable(columns | {"x": np.zeros(3)}, {})


@pytest.mark.parametrize(
    ("columns", "expected_ns"),
    [
        # Nanoseconds since 1970, which float64 cannot hold; frames 1 and 2 have no rows.
        (
            {"time_ns": np.array([1403636579763555584, 1403636579763555584, 1403636579913555585])},
            [1403636579763555584 + step for step in (0, 50000000, 100000001, 150000001, 200000001)],
        ),
        ({"time_s": np.array([0.5, 0.5, 0.8])}, [500000000, 600000000, 700000000, 800000000, 900000000]),
        (
            {"time_s": np.array([np.nan, np.nan, 0.8])},
            [500000000, 600000000, 700000000, 800000000, 900000000],
        ),
        ({}, [0, 100000000, 200000000, 300000000, 400000000]),
    ],
)
def test_times_of_all_frames(columns: dict[str, np.ndarray], expected_ns: list[int]) -> None:
    places = {name: np.array([0, 0, 3]) for name in ("frame", "x", "y")}
    rate = 20 if "time_ns" in columns else 10
    table = TrackTable({**places, "track_id": np.array([1, 2, 1]), **columns}, {"fps": rate})
    assert table.times_ns(5).tolist() == expected_ns
