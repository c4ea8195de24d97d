from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.keypoints import TrackedFrame, Tracks, TrackState
from realtime_kp.lens import Lens
from realtime_kp.sinks import TracksTableSink, check_table_name, write_track_rows
from tests.conftest import make_frame

COLUMNS = [
    *("frame", "time_s", "track_id", "x", "y", "score", "length", "sigma_px", "state", "label"),
    "time_ns",
]
GROWS_AS = {".csv": ".csv", ".jsonl": ".jsonl", ".parquet": ".csv"}
SUFFIXES = [".csv", ".jsonl", ".parquet"]

CONFIRMED, TENTATIVE, LOST = TrackState.CONFIRMED, TrackState.TENTATIVE, TrackState.LOST


def tracks(*given: tuple[int, TrackState, bool]) -> Tracks:
    """Tracks of (id, state, seen); places, scores and lengths follow from the id."""
    ids = np.array([each[0] for each in given], np.int64)
    xy = np.stack([ids * 1.25 + 0.0004, ids * 2.5], 1).astype(np.float32).reshape(-1, 2)
    return Tracks(
        ids,
        xy,
        (ids / 128).astype(np.float32),
        (ids + 2).astype(np.int32),
        np.array([each[1] for each in given], np.int8),
        np.array([each[2] for each in given], np.bool_),
        xy[:, None],
        np.where(ids % 2, ids / 64, np.nan).astype(np.float32),
    )


def tracked(index: int, time_s: float, *given: tuple[int, TrackState, bool]) -> TrackedFrame:
    return TrackedFrame(make_frame(index, time_s=time_s), None, tracks(*given))


def row(frame: int, time_s: float, track_id: int, state: str = "confirmed") -> dict[str, Any]:
    return {
        "frame": frame,
        "time_s": time_s,
        "track_id": track_id,
        "x": track_id * 1.25,
        "y": track_id * 2.5,
        "score": round(track_id / 128, 5),
        "length": track_id + 2,
        "sigma_px": round(track_id / 64, 3) if track_id % 2 else None,
        "state": state,
        "label": "",
        "time_ns": round(time_s * 1e9),
    }


FRAMES = [
    tracked(0, 0.0),
    tracked(
        1,
        0.0333333333,
        (1, CONFIRMED, True),
        (2, TENTATIVE, True),
        (4, CONFIRMED, False),
        (7, CONFIRMED, True),
    ),
    tracked(3, 0.1, (1, LOST, False), (2, CONFIRMED, True), (7, CONFIRMED, True)),
]
ROWS = [row(1, 0.033333333, 1), row(1, 0.033333333, 7), row(3, 0.1, 2), row(3, 0.1, 7)]


def write(path: Path, frames: Sequence[TrackedFrame] = FRAMES) -> Path:
    with TracksTableSink(path) as sink:
        for frame in frames:
            sink.write(None, frame)
    return path


def _parsed(key: str, value: str) -> int | float | str | None:
    if key in ("state", "label", "picture"):
        return value
    if value == "":
        return None
    return int(value) if key in ("frame", "track_id", "length", "time_ns") else float(value)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [{key: _parsed(key, value) for key, value in r.items()} for r in csv.DictReader(file)]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_the_confirmed_tracks_that_were_seen(tmp_path: Path, suffix: str) -> None:
    rows = read(write(tmp_path / f"t{suffix}"))
    assert [list(each) for each in rows] == [COLUMNS] * len(ROWS)
    assert rows == ROWS
    assert files(tmp_path) == [f"t{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lost_tracks_are_written_if_asked(tmp_path: Path, suffix: str) -> None:
    with TracksTableSink(tmp_path / f"t{suffix}", with_lost=True) as sink:
        sink.write(None, FRAMES[2])
    lost, *seen = read(tmp_path / f"t{suffix}")
    assert lost == row(3, 0.1, 1, "lost")
    assert seen == ROWS[2:]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_points_of_ones_own_have_their_names(tmp_path: Path, suffix: str) -> None:
    named = replace(FRAMES[2], tracks=replace(FRAMES[2].tracks, labels={7: 'left "eye", ä'}))
    rows = read(write(tmp_path / f"t{suffix}", [named]))
    assert [(each["track_id"], each["label"]) for each in rows] == [(2, ""), (7, 'left "eye", ä')]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tables_of_pictures_name_them(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    shown = replace(FRAMES[2], frame=replace(FRAMES[2].frame, origin="photos/a, b.png"))
    with TracksTableSink(path, with_pictures=True) as sink:
        sink.write(None, shown)
    rows = read(path)
    assert [list(each) for each in rows] == [[*COLUMNS, "picture"]] * len(rows)
    assert {each["picture"] for each in rows} == {"photos/a, b.png"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_of_data_sets_are_kept_to_the_nanosecond(tmp_path: Path, suffix: str) -> None:
    stamps = [1403636579763555584, 1403636579763555585]
    frames = [
        replace(FRAMES[2], frame=replace(make_frame(index, time_s=index * 1e-9), stamp_ns=stamp))
        for index, stamp in enumerate(stamps)
    ]
    rows = read(write(tmp_path / f"t{suffix}", frames))
    assert [each["time_ns"] for each in rows[::2]] == stamps
    assert [each["time_s"] for each in rows[::2]] == [0, 1e-9]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_ordered_by_frame_then_id(tmp_path: Path, suffix: str) -> None:
    frames = [tracked(i, i / 30, *((n, CONFIRMED, True) for n in range(1, 9))) for i in range(4)]
    keys = [(each["frame"], each["track_id"]) for each in read(write(tmp_path / f"t{suffix}", frames))]
    assert keys == [(i, n) for i in range(4) for n in range(1, 9)]


def test_csv_is_plain(tmp_path: Path) -> None:
    text = write(tmp_path / "t.csv").read_bytes().decode()
    assert text.splitlines()[:2] == [
        "frame,time_s,track_id,x,y,score,length,sigma_px,state,label,time_ns",
        "1,0.033333333,1,1.250,2.500,0.00781,3,0.016,confirmed,,33333333",
    ]
    assert "\r" not in text


def test_parquet_types(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(write(tmp_path / "t.parquet"))
    assert schema.names == COLUMNS
    assert [str(kind) for kind in schema.types] == [
        "int64",
        "double",
        "int64",
        "double",
        "double",
        "double",
        "int32",
        "double",
        "string",
        "string",
        "int64",
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_table_without_rows_is_a_table(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"t{suffix}", [tracked(0, 0.0), tracked(1, 0.1, (1, TENTATIVE, True))])
    assert read(path) == []


def test_parquet_of_many_rows_comes_whole(tmp_path: Path) -> None:
    many = tuple((n, CONFIRMED, True) for n in range(1, 20_001))
    rows = read(write(tmp_path / "t.parquet", [tracked(i, i / 30, *many) for i in range(4)]))
    assert len(rows) == 80_000
    assert rows[-1] == row(3, 0.1, 20_000) | {"score": 156.25}


def test_suffix_is_taken_in_any_case(tmp_path: Path) -> None:
    assert write(tmp_path / "T.CSV").read_text(encoding="utf-8").startswith("frame,")


@pytest.mark.parametrize("name", ["t.txt", "t", "t.csv.gz"])
def test_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        check_table_name(tmp_path / name)
    with pytest.raises(ConfigError, match=name):
        TracksTableSink(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_failure_leaves_no_final_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    with pytest.raises(KeyError), TracksTableSink(path) as sink:  # noqa: PT012
        for frame in FRAMES:
            sink.write(None, frame)
        raise KeyError
    assert files(tmp_path) == [f"t.partial{GROWS_AS[suffix]}"]
    assert read(tmp_path / f"t.partial{GROWS_AS[suffix]}") == ROWS


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_failure_before_the_first_row_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(KeyError), TracksTableSink(tmp_path / f"t{suffix}") as sink:  # noqa: PT012
        sink.write(None, FRAMES[0])
        raise KeyError
    assert files(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_failure_leaves_an_older_file_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_text("older")
    with pytest.raises(KeyError), TracksTableSink(path):
        raise KeyError
    assert path.read_text() == "older"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_folder_is_an_error_of_the_output(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(SinkError, match="cannot write"):
        write(tmp_path / "gone" / f"t{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk_is_an_error_of_the_output(tmp_path: Path, suffix: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / f"t.partial{GROWS_AS[suffix]}").symlink_to("/dev/full")
    with pytest.raises(SinkError, match="cannot write"):
        write(tmp_path / f"t{suffix}")
    assert not (tmp_path / f"t{suffix}").exists()


def test_table_of_one_frame(tmp_path: Path) -> None:
    write_track_rows(tmp_path / "t.jsonl", FRAMES[2])
    assert read(tmp_path / "t.jsonl") == ROWS[2:]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_normalised_coordinates_are_those_of_the_pixels_that_are_written(tmp_path: Path, suffix: str) -> None:
    lens = Lens((64, 48), (40.0, 40.0), (31.5, 23.5), (-0.3, 0.09, 0.001, -0.0005, -0.01))
    path = tmp_path / f"t{suffix}"
    one = tracked(0, 0.0, *((number, CONFIRMED, True) for number in (1, 7, 12)))
    frame = replace(one.frame, image_bgr=np.zeros((48, 64, 3), np.uint8))
    with TracksTableSink(path, with_lens=True) as sink:
        sink.write(None, replace(one, frame=replace(frame, lens=lens)))
        sink.write(None, replace(one, frame=replace(frame, index=1)))
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        assert [str(table.schema.field(name).type) for name in ("x_n", "y_n")] == ["double", "double"]
        rows = table.to_pylist()
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*COLUMNS, "x_n", "y_n"]
    xy = np.array([[float(row["x"]), float(row["y"])] for row in rows[:3]])
    found = np.array([[float(row["x_n"]), float(row["y_n"])] for row in rows[:3]])
    precise = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-13)
    expected = cv2.undistortPoints(xy[:, None], lens.matrix, np.array(lens.distortion), criteria=precise)
    np.testing.assert_allclose(found, expected[:, 0], atol=1e-6)
    assert {row["x_n"] for row in rows[3:]} <= {None, ""}
